package gateway

import (
	"fmt"
	"net/netip"
	"slices"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/schema"
)

// checkTargets refuses forwards to the two addresses of a network that no host has. The error is of type
// schema.Problems.
func checkTargets(c *schema.Config, f facts.Facts) error {
	var all schema.Problems
	for i, forward := range c.Forwards {
		to := forward.To.Addr()
		for _, l := range f.Links {
			if network, is := edge(l, to); is != "" && l.Name != c.Tunnel {
				all = append(all, c.Problem(fmt.Sprintf("forwards[%d].to", i),
					"%s is %s of %s on %s, and no host has it; write the address of one", to, is, network, l.Name))
				break
			}
		}
	}
	if len(all) > 0 {
		return all
	}
	return nil
}

// edge says what an address is in a network of the link besides a host's, and in which. A network of two addresses has
// only hosts (RFC 3021).
func edge(l kernel.Link, to netip.Addr) (network netip.Prefix, is string) {
	for _, a := range l.Addresses {
		network = a.Prefix.Masked()
		switch {
		case !network.Addr().Is4() || network.Bits() > 30:
		case to == network.Addr():
			return network, "the network address"
		case to == kernel.LastAddress(network):
			return network, "the broadcast address"
		}
	}
	return netip.Prefix{}, ""
}

// unreachable warns of forwards to hosts that are in no network of this machine.
func (g *Gateway) unreachable(f facts.Facts) {
	if !f.Live {
		return
	}
	warned := map[netip.Addr]bool{}
	for i, forward := range g.Forwards {
		to := forward.To.Addr()
		near := slices.ContainsFunc(f.Links, func(l kernel.Link) bool {
			return l.Name != g.Tunnel && slices.ContainsFunc(l.Addresses, func(a kernel.Inet) bool { return a.Prefix.Contains(to) })
		})
		if !near && !warned[to] {
			warned[to] = true
			g.Warnings = append(g.Warnings, fmt.Sprintf("forwards[%d]: %s is in no network of this machine; it gets the packets only if there is a route, and must send its answers back through here", i, to))
		}
	}
}
