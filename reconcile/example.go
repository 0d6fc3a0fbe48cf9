package reconcile

import (
	"net/netip"
	"slices"

	"mape-netplan/schema"
)

// ExampleFacts is a gateway as the README sets it up on Proxmox, before the
// first run: eth0 is the LAN, eth1 the WAN, both from cloud-init by netplan.
func ExampleFacts() Facts {
	lan, wan := netip.MustParsePrefix("192.168.1.5/24"), netip.MustParsePrefix("fe80::be24:11ff:fe00:2/64")
	return Facts{
		Live: true, Netplan: true, Networkd: true, IPForward: "0",
		Links: []Link{
			{Name: "eth0", Index: 2, Kind: "device", MTU: 1500, Addresses: []Inet{{Prefix: lan}}, NetworkFile: "/run/systemd/network/10-netplan-eth0.network"},
			{Name: "eth1", Index: 3, Kind: "device", MTU: 1500, Addresses: []Inet{{Prefix: wan}}, Default6: new(int), NetworkFile: "/run/systemd/network/10-netplan-eth1.network"},
		},
		Definitions: []Definition{
			{Section: "ethernets", ID: "eth0", Interfaces: []string{"eth0"}, Addresses: []netip.Prefix{lan}},
			{Section: "ethernets", ID: "eth1", Interfaces: []string{"eth1"}},
		},
	}
}

// Elsewhere reports whether a section is for a line that the machine is not on:
// it names the line but no interface, nothing here has an address of that
// line or a delegation, and no run has made anything of it.
func (l Line) Elsewhere(c *schema.Config, f Facts) bool {
	if c.WAN != "" || len(c.LAN) > 0 || len(f.Owned.Files) > 0 || c.Softwire == nil && !c.Prefix.IsValid() {
		return false
	}
	ce := l.Softwire.CE
	return ce.IsValid() && !f.delegatedFrom(ce) && !slices.ContainsFunc(f.Links, func(link Link) bool { return onLine(link, ce) })
}

// homeOf is the part of the line that one home has. Every rule known makes a
// /56, and behind a home gateway the machine's address is in another part of
// it than the CE's.
func homeOf(ce netip.Addr) netip.Prefix { return netip.PrefixFrom(ce, 56).Masked() }

func onLine(l Link, ce netip.Addr) bool {
	return slices.ContainsFunc(l.Addresses, func(a Inet) bool { return homeOf(ce).Contains(a.Prefix.Addr()) })
}

// delegatedFrom says whether a part of the line has been delegated.
func (f Facts) delegatedFrom(ce netip.Addr) bool {
	return slices.ContainsFunc(f.Delegations, func(d Delegation) bool { return homeOf(ce).Overlaps(d.Prefix) })
}

// FromNothing is the plan for a machine that has none of what is wanted.
func FromNothing(want []Resource) []Change {
	var changes []Change
	for _, r := range want {
		if r.Text() != "" {
			changes = append(changes, Change{hidden{r}, r})
		}
	}
	return changes
}
