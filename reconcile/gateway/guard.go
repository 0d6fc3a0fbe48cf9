package gateway

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/google/nftables"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/resource"
	"mape-netplan/schema"
)

// DefaultTunnel is the tunnel if the section does not name it.
const DefaultTunnel = "mape0"

// ErrNoMemory is the reason of a guard that lets nothing through.
var ErrNoMemory = errors.New("no earlier run has left a line to remember")

// A Guard is the table that is in place while the line is not known, so that
// nothing leaves by the tunnel untranslated: what "mape-netplan guard" loads.
type Guard struct {
	Table   resource.Table
	Tunnels []string
	// Line is the gateway of the remembered line, whose whole NAT the table is. If
	// it is nil nothing passes the tunnels at all, and Why is the reason.
	Line *Gateway
	Why  error
}

// GuardOf is the guard for a section; nil is a section that cannot be read, and
// its tunnel is that of our files. Where the service has remembered a section, the
// line is that one's, because our files are, and so is the NAT unless c makes one of
// the same line. Of the facts it needs those of
// [facts.Remembered]. The table of a remembered line is the same as a run on that
// line makes, so that nothing is written again when the line comes.
func GuardOf(c *schema.Config, f facts.Facts) Guard {
	g := Guard{Tunnels: slices.Clone(f.Owned.Tunnels)}
	for _, section := range []*schema.Config{c, f.Owned.Proven} {
		if section != nil && !slices.Contains(g.Tunnels, section.Tunnel) {
			g.Tunnels = append(g.Tunnels, section.Tunnel)
		}
	}
	if last := cmp.Or(f.Owned.Proven, c); last != nil {
		g.Line, g.Why = Remembered(last, f)
		if c != nil && g.Why == nil {
			if now, err := Remembered(c, f); err == nil && now.Softwire.CE() == g.Line.Softwire.CE() {
				g.Line = now
			}
		}
	} else {
		if len(g.Tunnels) == 0 {
			g.Tunnels = []string{DefaultTunnel}
		}
		g.Why = errors.New("there is no readable section")
	}
	if g.Why == nil {
		g.Table = resource.Table{Table: Walled(nat.Table(g.Line.NATConfig(), g.Line.Pool), slices.DeleteFunc(slices.Clone(g.Tunnels), func(tunnel string) bool { return tunnel == g.Line.Tunnel.Link }))}
	} else {
		g.Table = resource.Table{Table: Wall(g.Tunnels)}
	}
	return g
}

// Wall is a table that lets nothing through the tunnels. Its base chains are
// those of the NAT, which replaces their rules without unhooking them.
func Wall(tunnels []string) nft.Table {
	return Walled(nft.Table{Name: nat.Name, Comment: nat.Mark, Chains: []nft.Chain{
		{Name: "prerouting", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPrerouting, Priority: -350},
		{Name: "postrouting", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPostrouting, Priority: 300},
	}}, tunnels)
}

// Walled is a table that first drops everything through the tunnels, then has its
// own rules. A tunnel of an earlier section exists until a run removes it.
func Walled(t nft.Table, tunnels []string) nft.Table {
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
			drops = append(drops, nft.NewRule(nft.Is(link, kernel.IfName(tunnel)), nft.Drop))
		}
		t.Chains[i].Rules = slices.Concat(drops, c.Rules)
	}
	return t
}

// Holds reports whether a live table is a sufficient guard: one that guards each of
// the tunnels, as the table of a working gateway does.
func (g Guard) Holds(live resource.Table) bool {
	return !slices.ContainsFunc(g.Tunnels, func(tunnel string) bool { return !Guards(live, tunnel) })
}

// Guards reports whether a table drops what leaves by the tunnel untranslated: either its first rules drop everything
// into the tunnel, as in a wall, or it accepts what leaves by other links and drops the rest at the end, as the NAT does.
// A table of any other form does not count.
func Guards(t resource.Table, tunnel string) bool {
	wall := nft.NewRule(nft.Is(nft.OIfName, kernel.IfName(tunnel)), nft.Drop)
	others := nft.NewRule(nft.Not(nft.OIfName, kernel.IfName(tunnel)), nft.Accept)
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
			return r.Same(nft.NewRule(nft.Accept)) || r.Same(nft.NewRule(nft.Is(nft.OIfName, kernel.IfName(tunnel)), nft.Accept))
		}
		return slices.ContainsFunc(c.Rules, others.Same) && !slices.ContainsFunc(c.Rules, opens) && c.Rules[len(c.Rules)-1].Same(nft.NewRule(nft.Drop))
	}
	return false
}

// AnyGuard is a guard as a resource that is in sync with any table that guards the same tunnels.
type AnyGuard struct{ Guard }

func (s AnyGuard) Name() string { return s.Table.Name() }

func (s AnyGuard) Traits() engine.Traits { return s.Table.Traits() }

func (s AnyGuard) Text() string { return s.Table.Text() }

func (s AnyGuard) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	live, err := s.Table.Live(h)
	if err == nil && s.Holds(live) {
		return s, nil
	}
	return live, err
}

func (s AnyGuard) Write(ctx context.Context, h *host.Host) error { return s.Table.Write(ctx, h) }
