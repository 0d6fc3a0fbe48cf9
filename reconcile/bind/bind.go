// Package bind binds sockets to a link, so that their packets leave by it whatever the routes are.
package bind

import (
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Dialer connects by a link; "": any.
func Dialer(link string) *net.Dialer { return &net.Dialer{Control: Control(link)} }

// Control is the Control of a [net.Dialer] or [net.ListenConfig] that binds sockets to a link (SO_BINDTODEVICE). It is
// nil for "", which is any link.
func Control(link string) func(network, address string, c syscall.RawConn) error {
	if link == "" {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), link) }); e != nil {
			return e
		}
		if err != nil {
			return fmt.Errorf("bind to %s: %w", link, err)
		}
		return nil
	}
}
