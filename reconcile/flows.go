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

// flows are the connections that a gateway with that table does not want, or with none those that were ours.
func flows(g *Gateway, t Table, f Facts) Flows {
	if g == nil {
		return Flows{Was: f.Owned.Translations}
	}
	return Flows{Was: f.Owned.Translations, Now: translations(t.Table), Closed: g.Inbound == "drop"}
}

func (Flows) Name() string { return "conntrack" }

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
	live := Flows{Was: f.Was, Now: f.Now, Closed: f.Closed, found: map[staleFlow]int{}}
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
func (f Flows) Write(_ context.Context, _ *Host) error {
	if len(f.found) > 0 {
		return nil
	}
	t, err := openTracker()
	if err != nil {
		return err
	}
	defer t.close()
	var all []entry
	err = t.list(func(c *connection) {
		if _, ok := f.stale(c); ok {
			all = append(all, entry{c.id, slices.Clone(c.original)})
		}
	})
	if err != nil {
		return err
	}
	return t.forget(all)
}

// stale says whether a connection is one of them.
//
// Of what is nowhere noted, as after the table was deleted by hand, only the present address tells: nothing but the
// table translates to it on the way to the internet or lets connections to it in from there. Connections of the LAN with
// itself are left alone then: somebody's table may redirect those that are meant for the shared address.
func (f Flows) stale(c *connection) (staleFlow, bool) {
	if c.zoned || protocolNames[c.protocol] == "" {
		return staleFlow{}, false
	}
	translates := func(t Translation) bool { return t.translates(c) }
	if c.snat && !slices.ContainsFunc(f.Now, translates) {
		foreign := func(t Translation) bool {
			return t.Address.Contains(c.replyDst.Addr()) && !t.forwards(c.protocol, c.replyDst.Port()) && !c.replySrc.Addr().IsPrivate()
		}
		if slices.ContainsFunc(f.Was, translates) || slices.ContainsFunc(f.Now, foreign) {
			return staleFlow{protocol: c.protocol, address: c.replyDst.Addr()}, true
		}
	}
	forwarded := func(t Translation) bool { return t.forwarded(c) }
	if c.dnat && !slices.ContainsFunc(f.Now, forwarded) {
		foreign := func(t Translation) bool {
			return f.Closed && t.Address.Contains(c.dst.Addr()) && !c.src.Addr().IsPrivate()
		}
		if slices.ContainsFunc(f.Was, forwarded) || slices.ContainsFunc(f.Now, foreign) {
			return staleFlow{c.protocol, c.dst.Addr(), true}, true
		}
	}
	return staleFlow{}, false
}
