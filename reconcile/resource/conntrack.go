package resource

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nat"
)

// Conntrack are the stale connections: those whose shared address, port set or forward is no longer ours. The desired
// state is that none is left.
//
// Connection tracking keeps a translation as long as packets come. The table drops those packets, so a UDP socket that
// goes on sending would never get out again, and the peers of a forward that was removed would keep their access. What
// Write deletes cannot be restored: a host that goes on sending gets a new translation with its next packet.
type Conntrack struct {
	// Was is what the table translated before this run, Now what it does after it.
	Was, Now []nat.Translation
	// Pool is that of Now: the ports that the table lets out.
	Pool nat.Pool
	// Closed: only forwards let new connections in.
	Closed bool
	found  map[staleConnection]int
}

// A staleConnection is by what stale connections are counted.
type staleConnection struct {
	protocol uint8
	address  netip.Addr // the shared one
	inward   bool       // it came in by a forward
}

func (Conntrack) Name() string { return "conntrack" }

func (Conntrack) Traits() engine.Traits { return engine.Traits{Stage: engine.Cleanup, Transient: true} }

// Restore of connections is nothing: a deleted one cannot be brought back, and its sender gets a new translation.
func (Conntrack) Restore(engine.Resource) []engine.Resource { return nil }

// Text has one line for each protocol, address and direction.
func (f Conntrack) Text() string {
	var lines []string
	for s, n := range f.found {
		connections, by := "connections", "of"
		if n == 1 {
			connections = "connection"
		}
		if s.inward {
			by = "forwarded from"
		}
		lines = append(lines, fmt.Sprintf("%s: %d %s %s %s\n", kernel.ProtocolNames[s.protocol], n, connections, by, s.address))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// Read counts them. A kernel that cannot list its connections shows none.
func (f Conntrack) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	live := f
	live.found = map[staleConnection]int{}
	if len(f.Now)+len(f.Was) == 0 {
		return live, nil
	}
	err := kernel.Connections(h, func(c *kernel.Connection) {
		if s, ok := f.Stale(c); ok {
			live.found[s]++
		}
	})
	if errors.Is(err, kernel.ErrUntracked) {
		err = nil
	}
	return live, err
}

// Write deletes them. What was found before has been lost then, and is not made again.
func (f Conntrack) Write(_ context.Context, h *host.Host) error {
	if len(f.found) > 0 {
		return nil
	}
	var all []kernel.Entry
	err := kernel.Connections(h, func(c *kernel.Connection) {
		if _, ok := f.Stale(c); ok {
			all = append(all, kernel.Entry{ID: c.ID, Original: slices.Clone(c.Original)})
		}
	})
	if err != nil {
		return err
	}
	return kernel.Forget(h, all)
}

// Stale reports whether a connection is stale. One that still works is not, nor is one that our table could not have made:
// a connection inside the LAN, which another table may redirect by the shared address, or one by another route.
func (f Conntrack) Stale(c *kernel.Connection) (staleConnection, bool) {
	if c.Zoned || kernel.ProtocolNames[c.Protocol] == "" {
		return staleConnection{}, false
	}
	if c.SNAT && f.cutOff(c) {
		return staleConnection{protocol: c.Protocol, address: c.ReplyDst.Addr()}, true
	}
	if !c.SNAT && !c.DNAT && f.untranslated(c) {
		return staleConnection{protocol: c.Protocol, address: c.Src.Addr()}, true
	}
	if c.DNAT && f.orphaned(c) {
		return staleConnection{c.Protocol, c.Dst.Addr(), true}, true
	}
	return staleConnection{}, false
}

// cutOff reports whether a connection to the internet has an address that was ours, or a port of the present one that the
// table drops. The latter needs no memory of an earlier set: the table never lets such a connection begin.
func (f Conntrack) cutOff(c *kernel.Connection) bool {
	if slices.ContainsFunc(f.Now, func(t nat.Translation) bool { return t.Last > 0 && t.Address.Contains(c.ReplyDst.Addr()) }) {
		return !f.Pool.Passes(c.ReplyDst.Port()) && !isLocal(c.ReplySrc.Addr())
	}
	return slices.ContainsFunc(f.Was, func(t nat.Translation) bool { return t.Translates(c) })
}

// untranslated reports whether a connection to the internet left as it was, and is to be translated now: connection tracking
// chooses once.
func (f Conntrack) untranslated(c *kernel.Connection) bool {
	left := func(t nat.Translation) bool { return t.Last == 0 && t.Translates(c) }
	return slices.ContainsFunc(f.Was, left) && !slices.ContainsFunc(f.Now, left) && !isLocal(c.Dst.Addr())
}

// orphaned reports whether a connection came in by a forward that was removed. Where the earlier forwards are not known,
// as after the table was deleted by hand, that is every one from the internet that no present forward explains.
func (f Conntrack) orphaned(c *kernel.Connection) bool {
	forwarded := func(t nat.Translation) bool { return t.Forwarded(c) }
	if slices.ContainsFunc(f.Now, forwarded) {
		return false
	}
	if len(f.Was) > 0 || !f.Closed {
		return slices.ContainsFunc(f.Was, forwarded)
	}
	return slices.ContainsFunc(f.Now, func(t nat.Translation) bool { return t.Last > 0 && t.Address.Contains(c.Dst.Addr()) }) && !isLocal(c.Src.Addr())
}

// isLocal reports whether an address belongs to no host on the internet.
func isLocal(a netip.Addr) bool {
	return slices.ContainsFunc(nat.SpecialPurpose, func(p netip.Prefix) bool { return p.Contains(a) })
}
