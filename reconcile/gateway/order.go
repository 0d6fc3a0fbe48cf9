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
// of what belonged to an earlier line, because who creates that later has a reason.
// Unwanted connections (Transient) stay in the list, so that new ones are found.
func Lasting(want []engine.Resource) []engine.Resource {
	return slices.DeleteFunc(slices.Clone(want), func(r engine.Resource) bool {
		return !r.Traits().Transient && r.Text() == ""
	})
}

// An Order is the situation in which resources are written: a machine without a gateway (the zero value), or one on which
// a gateway is working.
type Order struct {
	// Live: a working gateway becomes another one. What packets need comes first, because people wait for it, and netplan's
	// generator and networkd's reload take a second on a slow machine.
	Live bool
	// Quiet: networkd is not told, because the kernel has the addresses and the tunnel already, and the files are for the
	// next boot. systemd 252 configures the WAN again when it reads that its addresses changed, and has no IPv6 default
	// route until the next router advertisement: measured, 0.6 to 1.4 s without the internet.
	Quiet bool
	// Told is the last CE address that networkd was told of, with its link; the zero value for none. It is removed again if
	// the gateway has another one: networkd 252 adds it after a carrier loss (measured).
	Told resource.Address
}

// Compile is [Compile] for this situation.
func (o Order) Compile(g *Gateway, f facts.Facts) []engine.Resource {
	all := compile(g, f, o)
	if o.Told.Prefix.IsValid() && !slices.ContainsFunc(all, func(r engine.Resource) bool { return r.Name() == o.Told.Name() && r.Text() != "" }) {
		all = append(all, resource.Former{Address: o.Told})
	}
	if o.Live {
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

// Renumbers reports whether only the ends of the tunnel differ from the gateway before, as after a prefix change; it
// compares the files that both would have.
func (g *Gateway) Renumbers(before *Gateway, f facts.Facts) bool {
	if g == nil || before == nil || g.Tunnel != before.Tunnel {
		return false
	}
	moved := *before
	moved.Softwire.CE, moved.Softwire.BR = g.Softwire.CE, g.Softwire.BR
	moved.Persist = slices.Clone(before.Persist)
	for i, p := range moved.Persist {
		if p.CE.IsValid() {
			moved.Persist[i].CE = netip.PrefixFrom(g.Softwire.CE, 128)
		}
	}
	return slices.Equal(files(&moved, f), files(g, f))
}
