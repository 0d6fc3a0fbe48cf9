package line

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/provider"
	"mape-netplan/reconcile/provider/offer"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// ownMechanism is that of a section which has one, with the key that it is under.
func ownMechanism(c *schema.Config) (m offer.Mechanism, path string) {
	switch {
	case len(c.Rules) > 0:
		m = offer.Mechanism{Mode: softwire.MAPE, Rules: rules(c), InterfaceID: softwire.RFC7597}
		if c.DMR.IsValid() {
			m.Mode = softwire.MAPT
		}
		return m, "rules"
	case c.DSLite != nil:
		return offer.Mechanism{Mode: softwire.DSLite, FarEnd: c.DSLite.AFTR}, "ds-lite"
	case c.LW4o6 != nil:
		l := c.LW4o6
		ports := softwire.Ports{PSID: uint16(l.PSID), PSIDLen: l.PSIDLen, PSIDOffset: l.PSIDOffset}
		return offer.Mechanism{Mode: softwire.LW4o6, FarEnd: l.LwAFTR, Binding: softwire.Binding{IPv4: l.IPv4.Addr(), Ports: ports, Prefix: l.Prefix}}, "lw4o6"
	case c.IPIP != nil:
		i := c.IPIP
		return offer.Mechanism{Mode: softwire.IPIP, FarEnd: i.BR, Fixed: softwire.Fixed{IPv4: i.IPv4, CE: i.CE, InterfaceID: i.InterfaceID, Routed: i.Block == "route" && !i.IPv4.IsSingleIP()}}, "ipip"
	}
	return m, ""
}

// fixesPorts reports whether the section has a mode with the same ports on any line and behind any far end.
func fixesPorts(c *schema.Config) bool {
	_, path := ownMechanism(c)
	_, lite := provider.DSLite(c.Provider, netip.Prefix{})
	return path != "" && path != "rules" || lite
}

// Fixes reports whether the section alone decides which ports the line has.
func Fixes(c *schema.Config) bool {
	return c.Softwire != nil || c.Prefix.IsValid() || fixesPorts(c)
}

// wherever is the softwire of such a section as far as any line has it: its IPv4 address and ports.
func wherever(c *schema.Config) softwire.Softwire {
	m, path := ownMechanism(c)
	if path == "" {
		m.Mode = softwire.DSLite
	}
	prefix := netip.MustParsePrefix("2001:db8::/56")
	switch {
	case m.Binding.Prefix.IsValid():
		prefix = m.Binding.Prefix
	case m.Fixed.CE.IsValid():
		prefix = netip.PrefixFrom(m.Fixed.CE, 128)
	}
	m.FarEnd = "2001:db8:ffff::1"
	made, _ := byMechanism(&schema.Config{}, facts.Facts{}, m, prefix) // Check has told what is wrong with it.
	return made.softwire
}

// byMechanism computes the mapping of a prefix by a mechanism. Where the address of its far end is not known yet, the
// error is NotYet, and the mapping has the name.
func byMechanism(c *schema.Config, f facts.Facts, m offer.Mechanism, prefix netip.Prefix) (made mapping, err error) {
	far, err := netip.ParseAddr(m.FarEnd)
	if err != nil && m.FarEnd != "" {
		made.farEnd = m.FarEnd
		if far, err = f.FarEnds.Of(m.FarEnd); err != nil {
			return made, NotYet{err}
		}
	}
	switch m.Mode {
	case softwire.DSLite:
		ce, e := b4(c, f, prefix)
		if e != nil {
			return made, e
		}
		made.softwire, err = softwire.Lite(ce, far)
	case softwire.LW4o6:
		m.Binding.LwAFTR = far
		made.softwire, err = m.Binding.Softwire(prefix)
	case softwire.IPIP:
		m.Fixed.BR = far
		made.softwire, err = m.Fixed.Softwire(prefix)
	default:
		made.softwire, err = softwire.Compute(m.Rules, prefix, interfaceID(c, m.InterfaceID))
	}
	return made, err
}

// b4 is this end of a DS-Lite tunnel on the line of prefix. All that the AFTR has of the customer hangs on it: it is the one
// that the tunnel has had so far or, of the WAN's stable addresses, the one by router advertisements. In a delegated prefix,
// of which the WAN has no address, it is made of 192.0.0.2.
func b4(c *schema.Config, f facts.Facts, prefix netip.Prefix) (netip.Addr, error) {
	if prefix.IsSingleIP() {
		return prefix.Addr(), nil
	}
	l, _ := wan(c, f)
	rank := func(a kernel.Inet) int {
		switch {
		case f.Owned.Memory != nil && a.Prefix.Addr() == f.Owned.Memory.CE:
			return 0
		case a.Origin == kernel.OriginRA:
			return 1
		}
		return 2
	}
	var fit []kernel.Inet
	for _, a := range l.Addresses {
		ip := a.Prefix.Addr()
		switch {
		case !ip.Is6() || !prefix.Contains(ip) || f.Owned.Has(l.Name, ip):
		case OfLine(a) && !a.Tentative && !a.Failed:
			fit = append(fit, a)
		}
	}
	if len(fit) > 0 {
		return slices.MinFunc(fit, func(a, b kernel.Inet) int {
			return cmp.Or(cmp.Compare(rank(a), rank(b)), a.Prefix.Addr().Compare(b.Prefix.Addr()))
		}).Prefix.Addr(), nil
	}
	if prefix.Bits() >= 64 {
		return netip.Addr{}, NotYet{fmt.Errorf("%s has no stable address in %v yet", l.Name, prefix)}
	}
	fixed, err := softwire.Fixed{BR: netip.MustParseAddr("2001:db8::1"), IPv4: netip.PrefixFrom(softwire.B4.Addr(), 32)}.Softwire(prefix)
	return fixed.CE(), err
}
