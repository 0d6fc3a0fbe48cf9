package gateway

import (
	"cmp"
	"net/netip"
	"slices"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/resource"
)

// Lasting is what is kept of what was made: not that something of an earlier
// line is absent, because whoever puts it there later has a reason. Connections
// that are translated as nobody wants are looked for again.
func Lasting(want []engine.Resource) []engine.Resource {
	return slices.DeleteFunc(slices.Clone(want), func(r engine.Resource) bool {
		return !r.Traits().Transient && r.Text() == ""
	})
}

// An Order is what a list of resources depends on beside the gateway and the machine: what is at work already. The zero
// value is a machine on which nothing is.
type Order struct {
	// Live: a gateway is at work and becomes another one. What packets meet comes first, because people wait for it;
	// netplan's generator and networkd's reload take a second on a slow machine.
	Live bool
	// Quiet: networkd is not told, because the kernel has the addresses and the tunnel already, and the files are for the
	// next boot. systemd 252 configures the WAN again when it reads that its addresses changed, and has no IPv6 default
	// route until the next router advertisement: measured, 0.6 to 1.4 s without the internet.
	Quiet bool
	// Told is the CE address that networkd was told of last, with its link; the zero value is none. Where the gateway has
	// another one it is kept away: networkd adds it again after a carrier loss (measured on 252).
	Told resource.Address
}

// Compile is the function [Compile], in this order.
func (o Order) Compile(g *Gateway, f facts.Facts) []engine.Resource {
	all := compile(g, f, o)
	if o.Told.Prefix.IsValid() && !slices.ContainsFunc(all, func(r engine.Resource) bool { return r.Name() == o.Told.Name() && r.Text() != "" }) {
		all = append(all, resource.Former{Address: o.Told})
	}
	if o.Live {
		slices.SortStableFunc(all, func(a, b engine.Resource) int { return cmp.Compare(precedence(a), precedence(b)) })
	}
	return all
}

// precedence is what comes first while a gateway is at work.
func precedence(r engine.Resource) int {
	switch t := r.Traits(); {
	case t.Daemon:
		return 2
	case t.Transient:
		return 1
	}
	return 0
}

// Renumbers reports whether a gateway differs from the one before only in the ends of its tunnel, as far as files tell.
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
