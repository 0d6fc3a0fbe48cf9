// Package events wakes the watch when the kernel or a file changes, and names the process that did it.
package events

import (
	"errors"
	"os"
	"sync"

	"github.com/fsnotify/fsnotify"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
)

// A Listener reports that something may have changed, not what: its reader looks at everything. Each channel holds one
// report, because a second one before the first is read says nothing more.
type Listener struct {
	Changed   chan struct{} // something that a gateway depends on
	Unrelated chan struct{} // only addresses of links that no gateway depends on, see SetUnrelated
	Table     chan struct{} // our nftables table: until it is back, packets may leave untranslated
	Failed    chan error    // a socket cannot be read any more: changes are missed from now on
	Sockets   []*netlink.Conn

	files   *fsnotify.Watcher
	watched map[string]bool // directories
	readers sync.WaitGroup

	mu        sync.Mutex
	names     map[string]bool          // files that matter wherever they are
	unrelated map[uint32]bool          // indexes of links
	actors    map[engine.Event]process // the last one of each kind of event
}

func newListener() *Listener {
	return &Listener{
		Changed: make(chan struct{}, 1), Unrelated: make(chan struct{}, 1), Table: make(chan struct{}, 1), Failed: make(chan error, 1),
		watched: map[string]bool{}, names: map[string]bool{}, actors: map[engine.Event]process{},
	}
}

// receiveBuffer is how much the kernel queues on each socket, in bytes.
const receiveBuffer = 8 << 20

// Listen subscribes to the events of the host's network namespace and files. A look that begins after it has returned
// misses nothing.
func Listen(h *host.Host) (*Listener, error) {
	e := newListener()
	if err := e.listen(h); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func (e *Listener) listen(h *host.Host) (err error) {
	if e.files, err = fsnotify.NewWatcher(); err != nil {
		return err
	}
	routes := newRouteEvents(e)
	if err := e.join(h.NS, unix.NETLINK_ROUTE, routes.receive, routes.reset, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_TC); err != nil {
		return err
	}
	tables := tableEvents{Listener: e}
	if err := e.join(h.NS, unix.NETLINK_NETFILTER, tables.receive, func() {}, unix.NFNLGRP_NFTABLES); err != nil {
		return err
	}
	e.readers.Go(e.readFiles)
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

// Wake reports a change on Changed.
func (e *Listener) Wake() { notify(e.Changed) }

// notify never blocks.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// SetUnrelated sets the links, by index, whose addresses no gateway depends on.
func (e *Listener) SetUnrelated(links map[uint32]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.unrelated = links
}

func (e *Listener) isUnrelated(link uint32) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.unrelated[link]
}

// DropUnrelated discards a report of unrelated links: a look begins, and sees what it is about.
func (e *Listener) DropUnrelated() {
	select {
	case <-e.Unrelated:
	default:
	}
}

// Close ends the readers and waits for them.
func (e *Listener) Close() {
	for _, c := range e.Sockets {
		c.Close()
	}
	if e.files != nil {
		e.files.Close()
	}
	e.readers.Wait()
}
