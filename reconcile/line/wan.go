package line

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/schema"
)

// EthernetMTU is the MTU of an interface that the kernel does not have yet, in bytes.
const EthernetMTU = 1500

// wan returns the interface towards the provider.
func wan(c *schema.Config, f facts.Facts) (kernel.Link, error) {
	if c.WAN != "" {
		return named(c, f, "wan", c.WAN)
	}
	var best []kernel.Link
	for _, l := range f.Links {
		if l.Default6 == nil || !carriesLine(c, l) {
			continue
		}
		if len(best) > 0 && *l.Default6 < *best[0].Default6 {
			best = nil
		}
		if len(best) == 0 || *l.Default6 == *best[0].Default6 {
			best = append(best, l)
		}
	}
	if len(best) > 1 {
		return kernel.Link{}, fmt.Errorf("%s and %s both have an IPv6 default route of metric %d; say which is the WAN with mape.wan", best[0].Name, best[1].Name, *best[0].Default6)
	}
	if len(best) == 1 {
		return best[0], nil
	}
	return kernel.Link{}, NotYet{noWAN(c, f)}
}

// virtual are kinds of links that an IPoE line is never at, because it is Ethernet: PPPoE's and those of tunnels and VPNs,
// as netlink.Link's Type calls them.
var virtual = []string{"dummy", "gre", "ip6gre", "ip6tnl", "ipip", "ovpn", "ppp", "sit", "tuntap", "vti", "vti6", "wireguard", "xfrm"}

// carriesLine reports whether a link can be the WAN.
func carriesLine(c *schema.Config, l kernel.Link) bool {
	return !l.Loopback && l.Name != c.Tunnel && !slices.Contains(virtual, l.Kind)
}

// named returns the interface of a name in the section. An image has no kernel, so there a name that no netplan file
// defines may still be right.
func named(c *schema.Config, f facts.Facts, path, name string) (kernel.Link, error) {
	l, ok := f.Link(name)
	if !ok && f.Live {
		return l, problem(c, path, fmt.Errorf("there is no interface %s; there are: %s", name, f.Names()))
	}
	if !ok {
		l.Name = name
	}
	if l.MTU == 0 {
		l.MTU = EthernetMTU
	}
	return l, nil
}

// noWAN is why the WAN of a machine, or of an image that no router announces itself to, cannot be told.
func noWAN(c *schema.Config, f facts.Facts) error {
	switch {
	case f.Live:
		return fmt.Errorf("no interface has an IPv6 default route, so the WAN is not known; wait for a router advertisement, or set mape.wan to one of: %s", f.Names())
	case c.Softwire != nil || c.Prefix.IsValid():
		return errors.New("an image has no WAN to look at; set mape.wan")
	}
	return errors.New("an image has no WAN to look at; set mape.wan, and mape.prefix unless the image's files have an address of the line")
}

// lan returns the interfaces towards the home: those that the section names, or every one with a private IPv4 address that
// netplan or networkd configures. That leaves out the bridges of container engines.
func lan(c *schema.Config, f facts.Facts, wan string) ([]string, error) {
	if c.LAN != nil {
		names := []string{} // not nil: the section says so
		for i, name := range c.LAN {
			l, err := named(c, f, fmt.Sprintf("lan[%d]", i), name)
			if err != nil {
				return nil, err
			}
			if l.Name == wan {
				return nil, problem(c, fmt.Sprintf("lan[%d]", i), fmt.Errorf("%s is the WAN: the line's router announces itself there; write an interface of the home", name))
			}
			names = append(names, l.Name)
		}
		return names, nil
	}
	var names []string
	for _, l := range f.Links {
		_, defined := f.DefinitionOf(l.Name)
		if l.Name == wan || l.Name == c.Tunnel || l.Loopback || !defined && l.NetworkFile == "" {
			continue
		}
		if hasPrivate(l) {
			names = append(names, l.Name)
		}
	}
	return names, nil
}

func hasPrivate(l kernel.Link) bool {
	return slices.ContainsFunc(l.Addresses, func(a kernel.Inet) bool { return a.Prefix.Addr().Is4() && a.Prefix.Addr().IsPrivate() })
}

// likely is the interface that the section names, the one that an earlier run put the CE address on, the one with the IPv6
// default route or the only one that can be the WAN, in this order.
func likely(c *schema.Config, f facts.Facts, l Line) string {
	if c.WAN != "" {
		if l, ok := f.Link(c.WAN); ok {
			return l.Name
		}
		return c.WAN
	}
	for _, a := range f.Owned.Addresses {
		if _, ok := f.Link(a.Link); ok {
			return a.Link
		}
	}
	if l.NoWAN == nil {
		return l.WAN.Name
	}
	if all := Interfaces(c, f); len(all) == 1 {
		return all[0]
	}
	return ""
}

// Interfaces are the names of those that can be the WAN.
func Interfaces(c *schema.Config, f facts.Facts) []string {
	var all []string
	for _, l := range f.Links {
		lan := slices.Contains(c.LAN, l.Name) || hasPrivate(l)
		if !lan && carriesLine(c, l) {
			all = append(all, l.Name)
		}
	}
	return all
}

// elsewhere reports whether a section gives its line but no interface, and nothing on this machine has an address of that
// line or a delegation, nor has an earlier run left files.
func elsewhere(c *schema.Config, f facts.Facts, ce netip.Addr) bool {
	if c.WAN != "" || len(c.LAN) > 0 || len(f.Owned.Files) > 0 || c.Softwire == nil && !c.Prefix.IsValid() && !(c.IPIP != nil && c.IPIP.CE.IsValid()) {
		return false
	}
	return ce.IsValid() && !DelegatedFrom(f, ce) && !slices.ContainsFunc(f.Links, func(link kernel.Link) bool { return OnLine(link, ce) })
}

// HomeOf is the part of the line that one home has. Every known rule makes a /56, and behind a home gateway the machine's
// address is in another /64 of it than the CE address.
func HomeOf(ce netip.Addr) netip.Prefix { return netip.PrefixFrom(ce, 56).Masked() }

// OnLine reports whether an interface has an address of the line.
func OnLine(l kernel.Link, ce netip.Addr) bool {
	return slices.ContainsFunc(l.Addresses, func(a kernel.Inet) bool { return HomeOf(ce).Contains(a.Prefix.Addr()) })
}

// DelegatedFrom reports whether a part of the line has been delegated to the machine.
func DelegatedFrom(f facts.Facts, ce netip.Addr) bool {
	return slices.ContainsFunc(f.Delegations, func(d networkd.Delegation) bool { return HomeOf(ce).Overlaps(d.Prefix) })
}
