// Package host is the machine that effects reach: its root directory, the sockets of its network namespace, its bus and its lock.
package host

import (
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/nlmsg"
)

// A Host is the machine. A function that takes one reads or changes the machine; any other one is pure.
type Host struct {
	Root *os.Root        // "/", or the directory that stands for it
	Sys  *os.Root        // /proc/sys; nil when only files are meant
	Net  *netlink.Handle // links, addresses and routes; nil likewise
	NFT  *nft.Conn       // nil likewise
	NS   int             // a descriptor of the network namespace that Net is of; 0 is the caller's
	Bus  Bus             // nil when networkd does not answer

	bus  *systemBus // nil before the first connection
	wake func()     // see WatchNetworkd
}

// Open opens this machine (root "") or a directory that stands for one, whose
// live resources are left out.
func Open(root string) (*Host, error) {
	if root != "" {
		r, err := os.OpenRoot(root)
		return &Host{Root: r}, err
	}
	h, err := OpenEarly()
	if err != nil {
		return nil, err
	}
	h.Reconnect()
	return h, nil
}

// OpenEarly opens this machine without its daemons: at boot it would wait for a
// bus that is not served yet.
func OpenEarly() (*Host, error) {
	r, err := os.OpenRoot("/")
	if err != nil {
		return nil, err
	}
	sys, err := os.OpenRoot("/proc/sys")
	if err != nil {
		return nil, err
	}
	// The families are named because a handle without them opens a socket of
	// every kind the library knows, some of which need modules.
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	conn, err := nft.Open()
	if err != nil {
		return nil, err
	}
	return &Host{Root: r, Sys: sys, Net: handle, NFT: conn}, nil
}

// Reconnect sets Bus by whether networkd is running, and connects to the system bus where there is no connection.
func (h *Host) Reconnect() {
	if !h.Live() || h.Root.Name() != "/" { // A directory that stands for a machine has no daemons.
		return
	}
	if h.bus == nil || !h.bus.conn.Connected() {
		h.bus = connectBus(h.wake)
	}
	h.Bus = nil
	if h.bus != nil && h.bus.networkd.Load() {
		h.Bus = networkd{h.bus.conn}
	}
}

// WatchNetworkd has wake called whenever networkd starts or stops, so that Reconnect is due.
func (h *Host) WatchNetworkd(wake func()) {
	h.wake = wake
	if h.bus != nil {
		h.bus.watch(wake)
	}
}

// Dial opens a netlink socket of a family in the machine's network namespace.
func (h *Host) Dial(family int) (*nlmsg.Conn, error) { return nlmsg.Dial(family, h.NS) }

// In runs f in the machine's network namespace, in which the sockets that it makes stay.
func (h *Host) In(f func() error) error {
	if h.NS == 0 {
		return f()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // It is not unlocked, so that the thread ends with the goroutine.
		err := unix.Setns(h.NS, unix.CLONE_NEWNET)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// Live is true if there is a kernel to look at, not only files.
func (h *Host) Live() bool { return h.Net != nil }
