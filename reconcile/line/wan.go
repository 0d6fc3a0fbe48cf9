package line

import (
	"errors"
	"fmt"
	"slices"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/schema"
)

// wan returns the interface towards the provider.
func wan(c *schema.Config, f facts.Facts) (kernel.Link, error) {
	if c.WAN != "" {
		return named(c, f, "wan", c.WAN)
	}
	var best []kernel.Link
	for _, l := range f.Links {
		if l.Default6 == nil || l.Name == c.Tunnel || l.Loopback {
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

// named finds an interface that the section names. Without a kernel a name
// that no netplan file defines may still be right.
func named(c *schema.Config, f facts.Facts, path, name string) (kernel.Link, error) {
	l, ok := f.Link(name)
	if !ok && f.Live {
		return l, problem(c, path, fmt.Errorf("there is no interface %s; there are: %s", name, f.Names()))
	}
	if !ok {
		l.Name = name
	}
	if l.MTU == 0 {
		l.MTU = ethernetMTU // The kernel is not there to ask.
	}
	return l, nil
}

// lan returns the interfaces towards the home: those that the section names,
// or every one with a private IPv4 address that netplan or networkd
// configures. A container engine's bridge is nobody's LAN.
func lan(c *schema.Config, f facts.Facts, wan string) ([]string, error) {
	if c.LAN != nil {
		for i, name := range c.LAN {
			path := fmt.Sprintf("lan[%d]", i)
			if _, err := named(c, f, path, name); err != nil {
				return nil, err
			}
		}
		return c.LAN, nil
	}
	var names []string
	for _, l := range f.Links {
		_, defined := f.DefinitionOf(l.Name)
		if l.Name == wan || l.Name == c.Tunnel || l.Loopback || !defined && l.NetworkFile == "" {
			continue
		}
		if slices.ContainsFunc(l.Addresses, func(a kernel.Inet) bool { return a.Prefix.Addr().Is4() && a.Prefix.Addr().IsPrivate() }) {
			names = append(names, l.Name)
		}
	}
	return names, nil
}

// LikelyWAN is the WAN where it can be known; otherwise, as on a machine that is
// not on the section's line, a link of which nothing is known.
func (l Line) LikelyWAN(c *schema.Config, f facts.Facts) kernel.Link {
	if l.Elsewhere(c, f) {
		return kernel.Link{}
	}
	link, _ := f.Link(l.WAN.Name)
	return link
}

// noWAN says what would tell the WAN of a machine, or of an image, for which no
// router will ever announce itself.
func noWAN(c *schema.Config, f facts.Facts) error {
	switch {
	case f.Live:
		return fmt.Errorf("no interface has an IPv6 default route, so the WAN is not known; wait for a router advertisement, or set mape.wan to one of: %s", f.Names())
	case c.Softwire != nil || c.Prefix.IsValid():
		return errors.New("an image has no WAN to look at; set mape.wan")
	}
	return errors.New("an image has no WAN to look at; set mape.wan, and mape.prefix unless the image's files have an address of the line")
}
