// Package bind keeps what a socket sends on one link, whatever the routes say.
package bind

import (
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Dialer makes connections that leave by a link; "" is any.
func Dialer(link string) *net.Dialer { return &net.Dialer{Control: Control(link)} }

// Control is that of a [net.Dialer] or [net.ListenConfig] whose sockets send by a link; "" is any.
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
			return fmt.Errorf("to leave by %s: %w", link, err)
		}
		return nil
	}
}
