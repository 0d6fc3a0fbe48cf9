// Package softwire is the arithmetic of a customer edge (CE): from what a provider gives and the line's IPv6 prefix to the
// CE address, the IPv4 address and the port set. Most of it is MAP (RFC 7597).
package softwire

import (
	"fmt"
	"net/netip"
	"slices"
)

// Softwire is one end of IPv4 over a line: what everything else needs of any mode. Only the functions of this package make
// valid ones, on which its methods rely.
type Softwire struct {
	Mode     Mode
	Carrier  Carrier      // nil in the zero value only
	Inner    netip.Prefix // IPv4: a /32 for an address, shorter for a prefix
	Ports    Ports        // of the address; the zero value is all
	NAT      bool         // false: the provider translates, or a block is routed
	Origin   Origin
	Warnings []Warning
}

// Origin is what a softwire was derived from; empty where the values were given.
type Origin struct {
	Rule          *Rule
	EndUserPrefix netip.Prefix
}

// Compute derives the softwire of the CE on the line of prefix: the end-user prefix, a longer one that is part of it (a
// /60 or /64 from a home gateway), or any address in it as a /128.
func Compute(rules []Rule, prefix netip.Prefix, id InterfaceID) (Softwire, error) {
	if err := CheckRules(rules); err != nil {
		return Softwire{}, err
	}
	if err := CheckPrefix(prefix); err != nil {
		return Softwire{}, err
	}
	if _, err := ParseInterfaceID(id.String()); err != nil {
		return Softwire{}, err
	}
	r, err := match(rules, prefix)
	if err != nil {
		return Softwire{}, err
	}
	s := r.softwire(high(prefix.Masked().Addr()), id)
	if err := s.check(); err != nil {
		return Softwire{}, err
	}
	s.warn(prefix)
	return s, nil
}

// CheckPrefix reports why prefix cannot be that of a provider's line, whatever the rules are.
func CheckPrefix(prefix netip.Prefix) error { return checkGlobal("prefix", prefix) }

// softwire is RFC 7597 section 5.2 for an end-user prefix given by its high 64 bits.
func (r Rule) softwire(endUser uint64, id InterfaceID) Softwire {
	s := Softwire{
		Mode:   MAPE,
		Ports:  Ports{PSIDLen: r.psidLen(), PSIDOffset: r.PSIDOffset},
		NAT:    true,
		Origin: Origin{&r, prefixOf(endUser, r.EndUserLen())},
	}
	suffix, carried := r.split(endUser)
	ipv4 := ipv4Bits(r.IPv4.Masked().Addr()) | suffix
	s.Inner = netip.PrefixFrom(ipv4Addr(ipv4), r.IPv4.Bits()+r.suffixLen())
	s.Ports.PSID = carried
	if r.PSID != nil {
		s.Ports.PSID = r.PSID.Value
	}
	// The CE lies in the first subnet of the end-user prefix (RFC 7597 section 5.2: the MAP subnet identifier is 0).
	s.Carrier = Tunnel{id.address(high(s.Origin.EndUserPrefix.Addr()), ipv4, s.Ports.PSID), r.BR}
	return s
}

// split takes the EA bits apart: the IPv4 suffix, already in its place in the address, and the PSID.
func (r Rule) split(endUser uint64) (suffix uint32, psid uint16) {
	ea := endUser << r.IPv6.Bits() >> (64 - r.EABits)
	q := r.carriedLen()
	return uint32(ea >> q << (32 - r.IPv4.Bits() - r.suffixLen())), uint16(ea & (1<<q - 1))
}

// check is what must hold of every softwire, computed or given.
func (s Softwire) check() error {
	if s.CE() == s.BR() {
		return fmt.Errorf("ce and br are both %v: br must be the provider's border relay, not this machine", s.CE())
	}
	if s.Ports.Count() == 0 {
		return fmt.Errorf("psid 0 of 16 bits at psid-offset 0 leaves only port 0, which is reserved: " +
			"one of the three is wrong")
	}
	// A large rule may contain addresses that are not unicast, and so may a prefix that is not shared.
	if slices.ContainsFunc(reserved, s.Inner.Overlaps) {
		return fmt.Errorf("ipv4 %v must be a unicast IPv4 prefix such as 192.0.2.0/24, or an address", s.Inner)
	}
	return nil
}

// warnPrivate is about an address that works behind a provider's own NAT, or in a test bed, and nowhere else.
func (s *Softwire) warnPrivate() {
	if Private(s.Inner) {
		s.warnf(NotGlobal, "ipv4 %v is private (RFC 1918, RFC 6598): no host on the internet can answer it, unless the provider translates it once more", s.Inner)
	}
}

// warn records what is legal but probably a mistake.
func (s *Softwire) warn(prefix netip.Prefix) {
	r := s.Origin.Rule
	s.warnPrivate()
	if r.IPv4 != r.IPv4.Masked() {
		s.warnf(StrayBits, "rule ipv4 %v has bits set after its first %d, which are ignored (RFC 7598 section 4.1): "+
			"write %v, or correct the length",
			r.IPv4, r.IPv4.Bits(), r.IPv4.Masked())
	}
	if _, carried := r.split(high(s.Origin.EndUserPrefix.Addr())); r.PSID != nil && r.carriedLen() > 0 && carried != s.Ports.PSID {
		s.warnf(PSIDReplaced, "the rule's psid %#x replaces %#x, which is in the prefix: the border relay must be configured for it", s.Ports.PSID, carried)
	}
	line := prefixOf(high(prefix.Masked().Addr()), min(prefix.Bits(), 64))
	if line.Addr() != s.Origin.EndUserPrefix.Addr() {
		s.warnf(NotFirst, "%v is not the first subnet of %v: it looks like a part that a home gateway delegated. "+
			"The CE address %v is in the first one, %v, the home gateway's own LAN: "+
			"the WAN of this machine must be on that link",
			line, s.Origin.EndUserPrefix, s.CE(), prefixOf(high(s.CE()), 64))
	}
}

func (s *Softwire) warnf(kind WarningKind, format string, args ...any) {
	s.Warnings = append(s.Warnings, Warning{kind, fmt.Sprintf(format, args...)})
}
