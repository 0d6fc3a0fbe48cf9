// Package events hears what wakes the watch, and which process did it.
package events

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/networkd"
)

// Listener wake a watch when something may have changed that it looks at. They
// carry nothing: one that is lost for lack of room is one as well.
type Listener struct {
	Wake     chan struct{} // holds one
	Murmur   chan struct{} // likewise, when only bystanders have changed
	Hurry    chan struct{} // likewise, when the guard may be gone
	Deaf     chan error    // holds one: why a socket is read no more
	Sockets  []*netlink.Conn
	files    *fsnotify.Watcher
	watching map[string]bool // directories
	readers  sync.WaitGroup

	mu         sync.Mutex
	names      map[string]bool          // files that matter where others do not
	bystanders map[uint32]bool          // the links, by their index, that a gateway does not depend on
	culprits   map[engine.Event]culprit // the last of each kind
}

// eventRoom is how much the kernel keeps of what was not read yet, in bytes.
const eventRoom = 8 << 20

// Listen begins to listen, before the first look: what happens later wakes.
func Listen(h *host.Host) (e *Listener, err error) {
	e = &Listener{Wake: make(chan struct{}, 1), Murmur: make(chan struct{}, 1), Hurry: make(chan struct{}, 1), Deaf: make(chan error, 1), watching: map[string]bool{}, names: map[string]bool{}, culprits: map[engine.Event]culprit{}}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	if e.files, err = fsnotify.NewWatcher(); err != nil {
		return e, err
	}
	routes := newRouteEvents(e)
	if err = e.join(h.NS, unix.NETLINK_ROUTE, routes.hear, routes.forget, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_TC); err != nil {
		return e, err
	}
	rules := ruleEvents{Listener: e}
	if err = e.join(h.NS, unix.NETLINK_NETFILTER, rules.hear, func() {}, unix.NFNLGRP_NFTABLES); err != nil {
		return e, err
	}
	e.readers.Go(e.hearFiles)
	return e, nil
}

// join reads in a network namespace the groups' messages until the socket is closed.
func (e *Listener) join(ns, family int, hear func(netlink.Message), forget func(), groups ...uint32) error {
	c, err := netlink.Dial(family, &netlink.Config{NetNS: ns})
	if err != nil {
		return err
	}
	e.Sockets = append(e.Sockets, c)
	// A smaller one will do: what does not fit wakes as well.
	_ = c.SetReadBuffer(eventRoom)
	for _, g := range groups {
		if err := c.JoinGroup(g); err != nil {
			return err
		}
	}
	e.readers.Go(func() {
		for {
			messages, err := c.Receive()
			switch {
			case errors.Is(err, unix.ENOBUFS):
				forget()
				e.Awake()
			case errors.Is(err, os.ErrClosed) || errors.Is(err, unix.EBADF):
				return
			case err != nil:
				e.Awake() // Whatever it was, a look does no harm.
				if len(messages) == 0 && !errors.Is(err, unix.EINTR) {
					select {
					case e.Deaf <- err:
					default: // Another one is reason enough to end.
					}
					return
				}
			}
			for _, m := range messages {
				hear(m)
			}
		}
	})
	return nil
}

func (e *Listener) Awake() { tell(e.Wake) }

// tell never waits: one that has not been heard yet is enough.
func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (e *Listener) Close() {
	for _, c := range e.Sockets {
		c.Close()
	}
	if e.files != nil {
		e.files.Close()
	}
	e.readers.Wait()
}

// hearFiles wakes for what happens to files, or when inotify lost count.
func (e *Listener) hearFiles() {
	for {
		select {
		case event, ok := <-e.files.Events:
			if !ok {
				return
			}
			if e.matters(event.Name) {
				e.Awake()
			}
		case _, ok := <-e.files.Errors:
			if !ok {
				return
			}
			e.Awake()
		}
	}
}

// matters says whether a file is one that a look reads: ours, the section, and
// what netplan and networkd read. Others share the directories.
func (e *Listener) matters(name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	base := filepath.Base(name)
	if e.names[name] || e.watching[name] {
		return true
	}
	// A file that is being written has another name until it is whole.
	return !strings.HasPrefix(base, ".") && (strings.HasSuffix(base, ".yaml") && strings.Contains(name, "/netplan/") || strings.Contains(name, "/systemd/network/"))
}

// WatchFiles listens to the directories of the files, as far as they exist: one
// that was made again is listened to again.
func (e *Listener) WatchFiles(h *host.Host, names []string) {
	root := h.Root.Name()
	want := map[string]bool{}
	files := map[string]bool{}
	for _, n := range names {
		files[n] = true
		want[filepath.Dir(n)] = true
		if to, err := filepath.EvalSymlinks(n); err == nil && to != n {
			files[to] = true
			want[filepath.Dir(to)] = true
		}
	}
	for _, dir := range append(slices.Clone(netplan.Dirs), networkd.NetworkDir) {
		want[filepath.Join(root, dir)] = true
	}
	e.mu.Lock()
	e.names = files
	e.mu.Unlock()
	for dir := range want {
		if e.files.Add(dir) != nil {
			continue // There is none yet; its parent is watched, or nothing of ours is there.
		}
		e.mu.Lock()
		e.watching[dir] = true
		e.mu.Unlock()
	}
}
