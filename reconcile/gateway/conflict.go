package gateway

import (
	"fmt"
	"net/netip"
	"slices"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// conflict is the error of what others have in the place of ours: the tunnel's name,
// or a default route as good as the tunnel's.
func (g *Gateway) conflict(f facts.Facts) error {
	if err := g.taken(f); err != nil {
		return err
	}
	if err := g.inside(f); err != nil {
		return err
	}
	if asleep := dormant(f); len(asleep) > 0 && !f.Live {
		return fmt.Errorf("%s: %w", asleep[0], resource.ErrRival)
	}
	for _, l := range f.Links {
		ours := l.Name == g.Tunnel.Link || slices.Contains(f.Owned.Tunnels, l.Name)
		if l.Default4 != nil && *l.Default4 == 0 && !ours {
			return fmt.Errorf("%s: %w", l.Name, resource.ErrRival)
		}
	}
	if f.Nowhere4 != "" {
		return fmt.Errorf("%s default: %w", f.Nowhere4, resource.ErrRival)
	}
	return nil
}

// inside refuses an address that packets would be sent to on a network of this machine rather than to it: a host there
// would get what comes from the internet.
func (g *Gateway) inside(f facts.Facts) error {
	if g.Softwire.Mode == softwire.IPIP && !g.Softwire.NAT {
		return nil // The block is that of a LAN.
	}
	for _, l := range f.Links {
		if l.Name == g.Tunnel.Link || slices.Contains(f.Owned.Tunnels, l.Name) {
			continue
		}
		for _, network := range l.Inet4() {
			if network.Overlaps(g.Softwire.Inner) {
				return fmt.Errorf("the line's IPv4 address %s is in %s, the network of %s; it must be the one that the provider has given this line",
					g.Softwire.Inner, network.Masked(), l.Name)
			}
		}
	}
	return nil
}

// foreign reports whether the CE address on the WAN is not the program's: another
// netplan file defines it, or the kernel has it and none of our files does.
func foreign(wan kernel.Link, f facts.Facts, ce netip.Addr) bool {
	is := func(p netip.Prefix) bool { return p.Addr() == ce }
	if d, ok := f.DefinitionOf(wan.Name); ok && slices.ContainsFunc(d.Addresses, is) {
		return true
	}
	// A deprecated /128 is ours even if our file is gone: nothing else makes a CE
	// address so.
	return f.Live && !f.Owned.Has(wan.Name, ce) &&
		slices.ContainsFunc(wan.Addresses, func(a kernel.Inet) bool { return is(a.Prefix) && !(a.Deprecated && a.Prefix.IsSingleIP()) })
}

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

// edge is what an address is in a network of the link if it is not a host's, "the network address" or "the broadcast
// address", and the network. A network of two addresses has only hosts (RFC 3021).
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
