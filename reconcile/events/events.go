// Package events wakes the watch when the kernel or a file changes, and names the process that did it.
package events

import (
	"errors"
	"os"
	"sync"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/host"
)

// A Listener makes reports of the events of a network namespace and of files.
type Listener struct {
	*Reports
	*Files
	Sockets []*netlink.Conn
	readers sync.WaitGroup
}

// receiveBuffer is how much the kernel queues on each socket, in bytes.
const receiveBuffer = 8 << 20

// Listen subscribes to the events of the host's network namespace and files. A look that begins after it has returned
// misses nothing.
func Listen(h *host.Host) (*Listener, error) {
	e := &Listener{Reports: NewReports()}
	e.rules.Store(true) // They have not been read yet.
	if err := e.listen(h); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func (e *Listener) listen(h *host.Host) (err error) {
	if e.Files, err = newFiles(e.Wake); err != nil {
		return err
	}
	routes := newRouteEvents(e.Reports)
	if err := e.join(h.NS, unix.NETLINK_ROUTE, routes.receive, routes.reset, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_TC); err != nil {
		return err
	}
	tables := tableEvents{Reports: e.Reports}
	if err := e.join(h.NS, unix.NETLINK_NETFILTER, tables.receive, func() {}, unix.NFNLGRP_NFTABLES); err != nil {
		return err
	}
	e.readers.Go(e.Files.read)
	return nil
}

// join subscribes to multicast groups in a network namespace, and starts a reader that runs until the socket is closed.
// reset is called when the kernel dropped messages.
func (e *Listener) join(ns, family int, receive func(netlink.Message), reset func(), groups ...uint32) error {
	c, err := netlink.Dial(family, &netlink.Config{NetNS: ns})
	if err != nil {
		return err
	}
	e.Sockets = append(e.Sockets, c)
	// With a smaller buffer (net.core.rmem_max) more is dropped, and a drop is reported as a change.
	_ = c.SetReadBuffer(receiveBuffer)
	for _, g := range groups {
		if err := c.JoinGroup(g); err != nil {
			return err
		}
	}
	e.readers.Go(func() { e.read(c, receive, reset) })
	return nil
}

func (e *Listener) read(c *netlink.Conn, receive func(netlink.Message), reset func()) {
	for {
		messages, err := c.Receive()
		switch {
		case errors.Is(err, unix.ENOBUFS):
			reset()
			e.Wake()
		case errors.Is(err, os.ErrClosed) || errors.Is(err, unix.EBADF):
			return
		case err != nil:
			e.Wake() // Messages may have been lost.
			if len(messages) == 0 && !errors.Is(err, unix.EINTR) {
				select {
				case e.Failed <- err:
				default: // The other socket has failed before.
				}
				return
			}
		}
		for _, m := range messages {
			receive(m)
		}
	}
}

// Close ends the readers and waits for them.
func (e *Listener) Close() {
	for _, c := range e.Sockets {
		c.Close()
	}
	if e.Files != nil {
		e.watcher.Close()
	}
	e.readers.Wait()
}
