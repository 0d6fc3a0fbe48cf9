package gateway

import (
	"fmt"
	"net/netip"
	"slices"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/resource"
	"mape-netplan/schema"
)

// conflict says what of somebody else's is in the way.
func (g *Gateway) conflict(f facts.Facts) error {
	for _, d := range f.Definitions {
		if d.Section == "tunnels" && d.ID == g.Tunnel {
			return fmt.Errorf("another netplan file defines the tunnel %s already, and netplan would merge the two; remove it there, or give ours another name with mape.tunnel", g.Tunnel)
		}
	}
	for _, l := range f.Links {
		ours := l.Name == g.Tunnel || slices.Contains(f.Owned.Tunnels, l.Name)
		if l.Default4 != nil && *l.Default4 == 0 && !ours {
			return fmt.Errorf("%s: %w", l.Name, resource.ErrRival)
		}
	}
	if f.Nowhere4 != "" {
		return fmt.Errorf("%s default: %w", f.Nowhere4, resource.ErrRival)
	}
	return nil
}

// foreign says whether the WAN has the CE address from somebody else: another
// file defines it, or the kernel has it and no file of ours does.
func foreign(wan kernel.Link, f facts.Facts, ce netip.Addr) bool {
	is := func(p netip.Prefix) bool { return p.Addr() == ce }
	if d, ok := f.DefinitionOf(wan.Name); ok && slices.ContainsFunc(d.Addresses, is) {
		return true
	}
	// One that looks as we make it is ours, though a file of ours that said so
	// be gone.
	return f.Live && !f.Owned.Has(wan.Name, ce) &&
		slices.ContainsFunc(wan.Addresses, func(a kernel.Inet) bool { return is(a.Prefix) && !(a.Deprecated && a.Prefix.IsSingleIP()) })
}

// warn says what is legal and probably not meant.
func (g *Gateway) warn(c *schema.Config, f facts.Facts) {
	wan := g.WAN
	if most := wan.MTU - line.TunnelHeader; wan.MTU > 0 && g.MTU > most {
		g.Warnings = append(g.Warnings, fmt.Sprintf("mtu %d is more than fits through %s: packets over %d bytes will be fragmented", g.MTU, wan.Name, most))
	}
	for _, l := range f.Links {
		if l.Default4 != nil && *l.Default4 > 0 && l.Name != g.Tunnel {
			g.Warnings = append(g.Warnings, fmt.Sprintf("%s has an IPv4 default route too, of metric %d: the tunnel's, of metric 0, goes before it", l.Name, *l.Default4))
		}
	}
	known := len(f.Delegations) > 0 || slices.ContainsFunc(wan.Addresses, line.OfLine)
	if c.Prefix.IsValid() && known && !line.OnLine(wan, g.Softwire.CE) && !line.DelegatedFrom(f, g.Softwire.CE) {
		g.Warnings = append(g.Warnings, fmt.Sprintf("no address of %s is in %s, the line that mape.prefix says", wan.Name, line.HomeOf(g.Softwire.CE)))
	}
	if g.Pool.First == 0 {
		g.Warnings = append(g.Warnings, "the port set has no port above 1023 that is not forwarded, and the NAT draws from none below: nothing will get out")
	}
	if f.Unfiltered != "" {
		g.Warnings = append(g.Warnings, fmt.Sprintf("%s cannot have a filter of its own (%s): whenever something flushes the ruleset of nftables, packets leave untranslated until the table is back", g.Tunnel, f.Unfiltered))
	}
	g.unreachable(f)
}
