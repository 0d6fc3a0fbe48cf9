package line

import (
	"net/netip"
	"slices"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/schema"
)

// Elsewhere reports whether a section is for a line that the machine is not on:
// it names the line but no interface, nothing here has an address of that
// line or a delegation, and no run has made anything of it.
func (l Line) Elsewhere(c *schema.Config, f facts.Facts) bool {
	if c.WAN != "" || len(c.LAN) > 0 || len(f.Owned.Files) > 0 || c.Softwire == nil && !c.Prefix.IsValid() {
		return false
	}
	ce := l.Softwire.CE
	return ce.IsValid() && !DelegatedFrom(f, ce) && !slices.ContainsFunc(f.Links, func(link kernel.Link) bool { return OnLine(link, ce) })
}

// HomeOf is the part of the line that one home has. Every rule known makes a
// /56, and behind a home gateway the machine's address is in another part of
// it than the CE's.
func HomeOf(ce netip.Addr) netip.Prefix { return netip.PrefixFrom(ce, 56).Masked() }

func OnLine(l kernel.Link, ce netip.Addr) bool {
	return slices.ContainsFunc(l.Addresses, func(a kernel.Inet) bool { return HomeOf(ce).Contains(a.Prefix.Addr()) })
}

// DelegatedFrom says whether a part of the line has been delegated.
func DelegatedFrom(f facts.Facts, ce netip.Addr) bool {
	return slices.ContainsFunc(f.Delegations, func(d networkd.Delegation) bool { return HomeOf(ce).Overlaps(d.Prefix) })
}
