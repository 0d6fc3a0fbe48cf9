package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Flows are the connections that are still translated as nobody wants any more: those of a shared address, a port set
// or a forward that was ours. Connection tracking keeps a translation as long as packets come, and the guard drops
// them, so a UDP socket that goes on sending would never get out again; and a port that is forwarded no more would stay
// open to whoever is connected.
//
// Wanted is that there are none. What Write deletes cannot be brought back: whoever goes on sending gets a new
// translation with the next packet.
type Flows struct {
	// Was is what the table translated before this run, Now what it does after it.
	Was, Now []Translation
	// Guard is the pool of Now, which the guard lets through.
	Guard pool
	// Closed says that only forwards let new connections in.
	Closed bool
	found  map[staleFlow]int
}

// A staleFlow is what is told of connections that should not be there.
type staleFlow struct {
	protocol uint8
	address  netip.Addr // the shared one
	inward   bool       // it came in by a forward
}

// flows are the connections that a gateway does not want, or with none those that were ours.
func flows(g *Gateway, f Facts) Flows {
	if g == nil {
		return Flows{Was: f.Owned.Translations}
	}
	return Flows{Was: f.Owned.Translations, Now: g.nat().translations(g.pool), Guard: g.pool, Closed: g.Inbound == "drop"}
}

// madeMeanwhile are the connections that a table made which is taken back.
func madeMeanwhile(c Change) Flows {
	of := func(r Resource) []Translation {
		t, _ := r.(Table)
		return translations(t.Table)
	}
	return Flows{Was: of(c.After), Now: of(c.Before)}
}

func (Flows) Name() string { return "conntrack" }

func (Flows) Traits() Traits { return Traits{Stage: Cleanup, Transient: true} }

// Restore of connections is nothing: a deleted one cannot be brought back, and its sender gets a new translation.
func (Flows) Restore(Resource) []Resource { return nil }

// Text has one line for each protocol, address and direction.
func (f Flows) Text() string {
	var lines []string
	for s, n := range f.found {
		connections, by := "connections", "of"
		if n == 1 {
			connections = "connection"
		}
		if s.inward {
			by = "forwarded from"
		}
		lines = append(lines, fmt.Sprintf("%s: %d %s %s %s\n", protocolNames[s.protocol], n, connections, by, s.address))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// Read counts them. A kernel that cannot list its connections shows none.
func (f Flows) Read(_ context.Context, h *Host) (Resource, error) {
	live := f
	live.found = map[staleFlow]int{}
	if len(f.Now)+len(f.Was) == 0 {
		return live, nil
	}
	err := h.connections(func(c *connection) {
		if s, ok := f.stale(c); ok {
			live.found[s]++
		}
	})
	if errors.Is(err, errUntracked) {
		err = nil
	}
	return live, err
}

// Write deletes them. What was found before has been lost then, and is not made again.
func (f Flows) Write(_ context.Context, h *Host) error {
	if len(f.found) > 0 {
		return nil
	}
	var all []entry
	err := h.connections(func(c *connection) {
		if _, ok := f.stale(c); ok {
			all = append(all, entry{c.id, slices.Clone(c.original)})
		}
	})
	if err != nil {
		return err
	}
	return h.forget(all)
}

// stale says whether a connection is one of them. One that still works is not, nor is one that the table could not have
// made: a connection of the LAN with itself, which somebody's table may redirect by the shared address, or what passed
// another way.
func (f Flows) stale(c *connection) (staleFlow, bool) {
	if c.zoned || protocolNames[c.protocol] == "" {
		return staleFlow{}, false
	}
	if c.snat && f.cutOff(c) {
		return staleFlow{protocol: c.protocol, address: c.replyDst.Addr()}, true
	}
	if c.dnat && f.uninvited(c) {
		return staleFlow{c.protocol, c.dst.Addr(), true}, true
	}
	return staleFlow{}, false
}

// cutOff says whether a connection to the internet has an address that was ours, or a port of the present one that the
// guard drops. No memory is needed of the latter: the guard lets none come about.
func (f Flows) cutOff(c *connection) bool {
	if slices.ContainsFunc(f.Now, func(t Translation) bool { return t.Address.Contains(c.replyDst.Addr()) }) {
		return !f.Guard.passes(c.replyDst.Port()) && !isLocal(c.replySrc.Addr())
	}
	return slices.ContainsFunc(f.Was, func(t Translation) bool { return t.translates(c) })
}

// uninvited says whether a connection came in by a forward that there is no more. When nothing is known of what there
// was, as after the table was deleted by hand, every one from the internet that no present forward explains did.
func (f Flows) uninvited(c *connection) bool {
	forwarded := func(t Translation) bool { return t.forwarded(c) }
	if slices.ContainsFunc(f.Now, forwarded) {
		return false
	}
	if len(f.Was) > 0 || !f.Closed {
		return slices.ContainsFunc(f.Was, forwarded)
	}
	return slices.ContainsFunc(f.Now, func(t Translation) bool { return t.Address.Contains(c.dst.Addr()) }) && !isLocal(c.src.Addr())
}

// passes says whether the guard lets out what has the number as its source port.
func (p pool) passes(n uint16) bool {
	if p.permuted() {
		_, ok := p.real[n]
		return ok
	}
	return p.set.First <= n && n <= p.set.Last
}

// isLocal says whether an address is of no host on the internet.
func isLocal(a netip.Addr) bool {
	shared := netip.MustParsePrefix("100.64.0.0/10") // RFC 6598; overlay networks use it
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || shared.Contains(a)
}
