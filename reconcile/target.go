package reconcile

import (
	"fmt"
	"net/netip"

	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// checkOwnAddress refuses a forward to the shared address itself, which no interface has: what went there would be
// routed back into the tunnel.
func checkOwnAddress(c *schema.Config, i int, sw softwire.Softwire) schema.Problems {
	to := c.Forwards[i].To.Addr()
	if !sw.IPv4.IsSingleIP() || to != sw.IPv4.Addr() {
		return nil
	}
	return schema.Problems{c.Problem(fmt.Sprintf("forwards[%d].to", i),
		"%s is the shared address of the line itself; write the address of a host of the LAN, or the gateway's own there", to)}
}

// checkTargets refuses forwards to the two addresses of a network that no host has. The error is of type
// schema.Problems.
func checkTargets(c *schema.Config, f Facts) error {
	var all schema.Problems
	for i, forward := range c.Forwards {
		to := forward.To.Addr()
		for _, l := range f.Links {
			if network, is := l.edge(to); is != "" && l.Name != c.Tunnel {
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
func (l Link) edge(to netip.Addr) (network netip.Prefix, is string) {
	for _, a := range l.Addresses {
		network = a.Prefix.Masked()
		switch {
		case !network.Addr().Is4() || network.Bits() > 30:
		case to == network.Addr():
			return network, "the network address"
		case to == last(network):
			return network, "the broadcast address"
		}
	}
	return netip.Prefix{}, ""
}
