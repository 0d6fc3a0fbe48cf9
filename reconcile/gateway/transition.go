package gateway

import (
	"net/netip"
	"slices"
	"sort"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/resource"
)

// Lasting is what the watch keeps in place after a run: everything but the absence
// of what belonged to an earlier line, because what is created later has a reason.
// Unwanted connections (Transient) stay in the list, so that new ones are found.
func Lasting(want []engine.Resource) []engine.Resource {
	return slices.DeleteFunc(slices.Clone(want), func(r engine.Resource) bool {
		return !r.Traits().Transient && r.Text() == ""
	})
}

// A Transition is from what to what a machine is changed: from one without a gateway (the zero value), or from a working one.
type Transition struct {
	// Live: a working gateway becomes another one. What packets need comes first, because people wait for it, and netplan's
	// generator and networkd's reload take a second on a slow machine.
	Live bool
	// NoReload: networkd is not reloaded, because the kernel has the addresses and the tunnel already, and the files are for
	// the next boot. systemd 252 configures the WAN again when it reads that its addresses changed, and has no IPv6 default
	// route until the next router advertisement: measured, 0.6 to 1.4 s without the internet.
	NoReload bool
	// Stale is the CE address, with its link, of networkd's last reload; the zero value for none. It is removed again if the
	// gateway has another one: networkd 252 adds it after a carrier loss (measured).
	Stale resource.Address
}

// Compile is [Compile] for this transition, in its order.
func (t Transition) Compile(g *Gateway, f facts.Facts) []engine.Resource {
	all := compile(g, f, t)
	if t.Stale.Prefix.IsValid() && !slices.ContainsFunc(all, func(r engine.Resource) bool { return r.Name() == t.Stale.Name() && r.Text() != "" }) {
		all = append(all, resource.Former{Address: t.Stale})
	}
	if t.Live {
		sort.SliceStable(all, func(i, j int) bool { return precedence(all[i]) < precedence(all[j]) })
	}
	return all
}

// precedence orders resources while a gateway is working: the kernel's, connections, the daemons'.
func precedence(r engine.Resource) int {
	switch t := r.Traits(); {
	case t.Daemon:
		return 2
	case t.Transient:
		return 1
	}
	return 0
}

// RenumberedFrom reports whether only the ends of the tunnel differ from the gateway before, as after a prefix change; it
// compares the files that both would have.
func (g *Gateway) RenumberedFrom(before *Gateway, f facts.Facts) bool {
	if g == nil || before == nil || g.Tunnel.Link != before.Tunnel.Link {
		return false
	}
	moved := *before
	moved.Tunnel.Local, moved.Tunnel.Remote = g.Tunnel.Local, g.Tunnel.Remote
	moved.LinkConfigs = slices.Clone(before.LinkConfigs)
	for i, p := range moved.LinkConfigs {
		if p.CE.IsValid() {
			moved.LinkConfigs[i].CE = netip.PrefixFrom(g.Softwire.CE(), 128)
		}
	}
	then, _ := files(&moved, f)
	now, _ := files(g, f)
	return slices.Equal(then, now)
}
