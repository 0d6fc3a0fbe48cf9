package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"mape-netplan/reconcile/doctor/symptom"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/resource"
)

// home: is the home gateway the line's customer edge already?
func (d *diagnosis) home() Finding {
	h := d.s.Home
	switch {
	case h.Status == "ON":
		return bad(fmt.Sprintf("the home gateway %s reports ON", h.Address),
			fmt.Sprintf("The home gateway (%s at %s) does IPv4 over IPv6 for this line itself, and a line has only one such router.", symptom.HomeName, h.Address),
			"Switch it off there (IPv4設定, v6プラス or IPv4 over IPv6 in the home gateway's menu), or do not use this machine as the gateway.")
	case h.Status != "":
		return good("the home gateway %s leaves IPv4 to this machine (%s)", h.Address, h.Status)
	}
	return skipped("no home gateway found: %s", h.Skipped)
}

// ce: is the CE address on the WAN, and only here?
func (d *diagnosis) ce() Finding {
	ce := d.line.Softwire.CE()
	x, differs := d.difference(d.ceAddress())
	switch {
	case d.duplicate():
		return bad(fmt.Sprintf("%s is a duplicate", ce),
			fmt.Sprintf("Another router on the line already has the CE address %s: duplicate address detection got an answer.", ce),
			fmt.Sprintf(`Switch off the other MAP-E router (the home gateway's own, or an old one), then run "sudo ip -6 address del %s/128 dev %s" and "`+d.command()+`".`, ce, d.wan))
	case differs && x.Before == "", d.g == nil && !d.has(ce):
		return bad(fmt.Sprintf("%s is not on %s", ce, d.wan), fmt.Sprintf("The CE address %s is missing on %s, so nothing can come back to it.", ce, d.wan),
			`Run "`+d.command()+`". If that says that another host on the link has the address, switch off the other MAP-E router of the line.`)
	case differs && x.Detection == resource.Tentative:
		return warning(fmt.Sprintf("%s is still being checked", ce), fmt.Sprintf("Duplicate address detection of the CE address %s is still running.", ce), "Try again in a few seconds.")
	case differs:
		return warning(fmt.Sprintf("%s is on %s, but not as it should be", ce, d.wan),
			fmt.Sprintf("The CE address %s is not what apply makes it, and this machine may use it for connections of its own.", ce), d.restore())
	}
	return good("%s is on %s", ce, d.wan)
}

// duplicate reports whether another host on the line has the CE address.
func (d *diagnosis) duplicate() bool {
	x, _ := d.difference(d.ceAddress())
	return x.Detection == resource.Duplicate
}

// ceAddress is the CE address where the gateway has it.
func (d *diagnosis) ceAddress() resource.Address {
	link := d.wan
	if d.g != nil {
		link = d.g.WAN.Name
	}
	return resource.Address{Link: link, Prefix: netip.PrefixFrom(d.line.Softwire.CE(), 128)}
}

// has reports whether the WAN has an address.
func (d *diagnosis) has(a netip.Addr) bool {
	wan, _ := d.f.Link(d.wan)
	return slices.ContainsFunc(wan.Addresses, func(i kernel.Inet) bool { return i.Prefix.Addr() == a })
}
