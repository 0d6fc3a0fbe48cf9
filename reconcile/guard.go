package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"

	"mape-netplan/reconcile/nft"
	"mape-netplan/schema"
)

// defaultTunnel is the tunnel of a section that names none.
const defaultTunnel = "mape0"

// errNoMemory is why a guard lets nothing through.
var errNoMemory = errors.New("no earlier run has left a line to remember")

// A Guard is the table that stands before the tunnel while the line is not
// known: nothing leaves by the tunnel that is not translated.
type Guard struct {
	Table   Table
	Tunnels []string
	// Line is the remembered one, whose whole NAT the table is. Where that is
	// nil nothing passes the tunnels at all, and Why says why.
	Line *Gateway
	Why  error
}

// GuardOf is the guard for a section; nil is one that cannot be read, whose
// tunnel is that of our files. Of the facts it needs what is remembered. The table of a remembered line is the very one
// that a run on that line makes, so that nothing has to be written again when
// the line is there.
func GuardOf(c *schema.Config, f Facts) Guard {
	g := Guard{Tunnels: slices.Clone(f.Owned.Tunnels)}
	add := func(tunnel string) {
		if !slices.Contains(g.Tunnels, tunnel) {
			g.Tunnels = append(g.Tunnels, tunnel)
		}
	}
	if c == nil {
		if len(g.Tunnels) == 0 {
			add(defaultTunnel)
		}
		g.Why = errors.New("there is no section to know the line from")
	} else {
		add(c.Tunnel)
		g.Line, g.Why = Remembered(c, f)
	}
	if g.Why == nil {
		g.Table = Table{walled(natTable(g.Line.nat(), g.Line.pool), slices.DeleteFunc(slices.Clone(g.Tunnels), func(tunnel string) bool { return tunnel == g.Line.Tunnel }))}
	} else {
		g.Table = Table{wall(g.Tunnels)}
	}
	return g
}

// wall is a table that lets nothing through the tunnels. Its base chains are
// those of the NAT, which replaces their rules without unhooking them.
func wall(tunnels []string) nft.Table {
	return walled(nft.Table{Name: tableName, Chains: []nft.Chain{
		{Name: "prerouting", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPrerouting, Priority: -350},
		{Name: "postrouting", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPostrouting, Priority: 300},
	}}, tunnels)
}

// walled is a table that lets nothing through the tunnels, before any of its own
// rules. Those of earlier files stand until a run takes them away.
func walled(t nft.Table, tunnels []string) nft.Table {
	for i, c := range t.Chains {
		var link nft.Field
		switch c.Name {
		case "prerouting":
			link = nft.IIfName
		case "postrouting":
			link = nft.OIfName
		default:
			continue
		}
		var drops []nft.Rule
		for _, tunnel := range tunnels {
			drops = append(drops, nft.NewRule(nft.Is(link, ifname(tunnel)), nft.Drop))
		}
		t.Chains[i].Rules = slices.Concat(drops, c.Rules)
	}
	return t
}

// Holds says whether a live table is guard enough: any that guards each of the
// tunnels, as that of a gateway at work does.
func (g Guard) Holds(live Table) bool {
	return !slices.ContainsFunc(g.Tunnels, func(tunnel string) bool { return !guards(live, tunnel) })
}

// guards says whether a table drops what leaves by the tunnel untranslated: a rule in front drops all of it, as in a
// wall, or what is not of other links is dropped in the end, as by the NAT. What looks otherwise is taken for none.
func guards(t Table, tunnel string) bool {
	wall := nft.NewRule(nft.Is(nft.OIfName, ifname(tunnel)), nft.Drop)
	others := nft.NewRule(nft.Not(nft.OIfName, ifname(tunnel)), nft.Accept)
	for _, c := range t.Chains {
		if c.Name != "postrouting" || c.Type != nftables.ChainTypeFilter || c.Hook != *nftables.ChainHookPostrouting || len(c.Rules) == 0 {
			continue
		}
		for _, r := range c.Rules {
			if r.Same(wall) {
				return true
			}
			if !r.OnlyDrops() {
				break
			}
		}
		opens := func(r nft.Rule) bool {
			return r.Same(nft.NewRule(nft.Accept)) || r.Same(nft.NewRule(nft.Is(nft.OIfName, ifname(tunnel)), nft.Accept))
		}
		return slices.ContainsFunc(c.Rules, others.Same) && !slices.ContainsFunc(c.Rules, opens) && c.Rules[len(c.Rules)-1].Same(nft.NewRule(nft.Drop))
	}
	return false
}

// PutGuard reads what is remembered and installs the guard where none is. It
// needs no link, no daemon and no line, and no file that it cannot read: where
// nothing is remembered, such a file may be why.
func (r *Run) PutGuard(ctx context.Context, c *schema.Config) (g Guard, made bool, err error) {
	remembered, closed := r.Host.remembered()
	remembered.Discovered = r.latest(remembered.Discovered)
	g = GuardOf(c, remembered)
	if errors.Is(g.Why, errNoMemory) && closed != nil {
		g.Why = fmt.Errorf("%w; and cannot read %w", g.Why, closed)
	}
	live, err := nft.ReadRules(r.Host.NFT, tableName)
	if err == nil && !g.Holds(Table{live}) {
		was, e := g.Table.Live(r.Host) // With what is in its sets.
		if err = e; err == nil {
			made, err = true, g.Table.Write(ctx, r.Host)
		}
		if made && r.guard == nil {
			r.guard = &replaced{was, g}
		}
	}
	if err != nil {
		return g, false, fmt.Errorf("%s: %w", g.Table.Name(), err)
	}
	return g, made, nil
}

// replaced is a table that a guard has replaced.
type replaced struct {
	was Table
	by  Guard
}

// Unguard puts the table back that a guard of this run has replaced, or none. The
// guard stays where that one does not guard a tunnel that exists, and the error
// says so.
func (r *Run) Unguard(ctx context.Context) (left []Change, err error) {
	if r.guard == nil {
		return nil, nil
	}
	was, by := r.guard.was, r.guard.by
	c := Change{was, by.Table}
	r.guard = nil
	for _, tunnel := range by.Tunnels {
		link, err := r.Host.link(tunnel)
		if (link != nil || err != nil) && !guards(was, tunnel) {
			return []Change{c}, fmt.Errorf("%s stays, so that nothing leaves by the tunnel %s untranslated; \"mape-netplan remove\" takes both away", c.After.Name(), tunnel)
		}
	}
	if err := was.Write(ctx, r.Host); err != nil {
		return []Change{c}, fmt.Errorf("rolling back: %s: %w", c.After.Name(), err)
	}
	return nil, nil
}

// Shut sets the tunnels down: without a guard nothing may leave by them. It
// returns those that were up or down and there.
func Shut(h *Host, c *schema.Config) (shut []string, err error) {
	remembered, err := h.remembered()
	for _, tunnel := range GuardOf(c, remembered).Tunnels {
		link, e := h.link(tunnel)
		if link != nil && link.Type() == "ip6tnl" {
			if e = h.Net.LinkSetDown(link); e == nil {
				shut = append(shut, tunnel)
			}
		}
		if e != nil {
			err = errors.Join(err, fmt.Errorf("tunnel %s: %w", tunnel, e))
		}
	}
	return shut, err
}

// standing is a guard as a resource: any table that guards as well is one.
type standing struct{ Guard }

func (s standing) Name() string { return s.Table.Name() }

func (s standing) Traits() Traits { return s.Table.Traits() }
func (s standing) Text() string   { return s.Table.Text() }

func (s standing) Read(_ context.Context, h *Host) (Resource, error) {
	live, err := s.Table.Live(h)
	if err == nil && s.Holds(live) {
		return s, nil
	}
	return live, err
}

func (s standing) Write(ctx context.Context, h *Host) error { return s.Table.Write(ctx, h) }
