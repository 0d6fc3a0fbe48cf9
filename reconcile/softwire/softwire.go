// Package softwire is the arithmetic of a customer edge (CE): from what a provider gives and the line's IPv6 prefix to the
// CE address, the IPv4 address and the port set.
//
// Most of it is MAP (RFC 7597).
package softwire

import (
	"fmt"
	"net/netip"
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
	s := r.softwire(cut(prefix, r.EndUserLen()), id)
	if err := s.check(); err != nil {
		return Softwire{}, err
	}
	s.warn(rules, prefix)
	return s, nil
}

// CheckPrefix reports why prefix cannot be that of a provider's line, whatever the rules are.
func CheckPrefix(prefix netip.Prefix) error { return checkGlobal("prefix", prefix) }

// softwire is RFC 7597 section 5.2 for an end-user prefix.
func (r Rule) softwire(endUser netip.Prefix, id InterfaceID) Softwire {
	suffix, carried := r.split(endUser)
	ipv4 := ipv4Bits(r.IPv4.Masked().Addr()) | suffix
	ports := Ports{PSID: carried, PSIDLen: r.psidLen(), PSIDOffset: r.PSIDOffset}
	if r.explicit() {
		ports.PSID = r.PSID.Value
	}
	s := Softwire{
		Mode:    MAPE,
		Carrier: r.carrier(id.address(endUser, ipv4, ports.PSID)),
		Inner:   netip.PrefixFrom(ipv4Addr(ipv4), r.IPv4.Bits()+r.suffixLen()),
		Ports:   ports,
		NAT:     true,
		Origin:  Origin{&r, endUser},
	}
	if r.DMR.IsValid() {
		s.Mode = MAPT
	}
	return s
}

// split takes the EA bits apart: the IPv4 suffix, already in its place in the address, and the PSID.
func (r Rule) split(endUser netip.Prefix) (suffix uint32, psid uint16) {
	ea := field(endUser.Addr(), r.IPv6.Bits(), r.EABits)
	q := r.carriedLen()
	return uint32(ea >> q << (32 - r.IPv4.Bits() - r.suffixLen())), uint16(ea & (1<<q - 1))
}

// check is what must hold of every softwire, computed or given. Of what the EA bits make, the prefix or the rule is to
// blame, not a value that was never written.
func (s Softwire) check() error {
	made := ""
	if r := s.Origin.Rule; r != nil && r.EABits > 0 {
		made = fmt.Sprintf("the EA bits of %v make ", s.Origin.EndUserPrefix)
	}
	const wrong = "the rule or the prefix is wrong"
	far := s.Carrier.FarEnd()
	where, _ := special(s.Inner)
	switch {
	case far.IsSingleIP() && far.Addr() == s.CE():
		return fmt.Errorf("both ends are %v: the far end must be the provider's, not this machine", s.CE())
	case far.Contains(s.CE()):
		return fmt.Errorf("ce %v is in dmr %v: the dmr must not have addresses of customers in it", s.CE(), far)
	case where != "" && made == "":
		return notUnicast(s.Inner, where)
	case where != "":
		return fmt.Errorf("%sipv4 %v, which is %s: %s", made, s.Inner, where, wrong)
	case s.Ports.Count() == 0 && (made == "" || s.Origin.Rule.explicit()):
		return fmt.Errorf("psid 0 of 16 bits at psid-offset 0 has only port 0, which is reserved: one of the three is wrong")
	case s.Ports.Count() == 0:
		return fmt.Errorf("%spsid 0 of 16 bits, which at psid-offset 0 has only port 0, and that is reserved: %s", made, wrong)
	}
	return nil
}

// warnInner is about an address that works behind a provider's own NAT, or in a test bed, and nowhere else, and about ports
// that no NAT draws (RFC 7596 section 5.1 recommends not to assign such a set).
func (s *Softwire) warnInner() {
	if ranges := s.Ports.Ranges(); ranges[len(ranges)-1].Last < 1024 {
		s.warnf(SystemPorts, "the ports of psid %d end at %d, and NAT uses none below 1024: no connection can be made", s.Ports.PSID, ranges[len(ranges)-1].Last)
	}
	if Private(s.Inner) {
		s.warnf(NotGlobal, "ipv4 %v is private (RFC 1918, RFC 6598): no host on the internet can answer it, unless the provider translates it once more", s.Inner)
	}
}

// warn records what is legal but probably a mistake.
func (s *Softwire) warn(rules []Rule, prefix netip.Prefix) {
	r := s.Origin.Rule
	s.warnInner()
	for i, other := range rules {
		if other.sameDomain(*r) && !other.explicit() && other.IPv4.Bits() > r.IPv4.Bits() && other.IPv4.Overlaps(s.Inner) {
			s.warnf(Shadowed, "ipv4 %v is in %v of rule %d, too, the longer match: packets to it go to another customer, or this line's rule is wrong", s.Inner, other.IPv4, i+1)
		}
	}
	if r.IPv4 != r.IPv4.Masked() {
		s.warnf(StrayBits, "rule ipv4 %v has bits set after its first %d, which are ignored (RFC 7598 section 4.1): "+
			"write %v, or correct the length",
			r.IPv4, r.IPv4.Bits(), r.IPv4.Masked())
	}
	if r.PSID != nil && r.PSID.Len == 0 && r.PSID.Value != 0 {
		s.warnf(StrayBits, "rule psid %#x is ignored, because psid-len is 0 (RFC 7598 section 4.5): write the number of its bits, or leave both out", r.PSID.Value)
	}
	if _, carried := r.split(s.Origin.EndUserPrefix); r.explicit() && r.carriedLen() > 0 && carried != s.Ports.PSID {
		s.warnf(PSIDReplaced, "the rule's psid %#x replaces %#x, which is in the prefix: the border relay must be configured for it", s.Ports.PSID, carried)
	}
	// A longer end-user prefix has no subnets.
	line := cut(prefix, max(64, r.EndUserLen()))
	if line.Addr() != s.Origin.EndUserPrefix.Addr() {
		s.warnf(NotFirst, "%v is not the first subnet of %v: it looks like a part that a home gateway delegated. "+
			"The CE address %v is in the first one, %v, the home gateway's own LAN: "+
			"the WAN of this machine must be on that link",
			line, s.Origin.EndUserPrefix, s.CE(), netip.PrefixFrom(s.CE(), 64).Masked())
	}
}

func (s *Softwire) warnf(kind WarningKind, format string, args ...any) {
	s.Warnings = append(s.Warnings, Warning{kind, fmt.Sprintf(format, args...)})
}
