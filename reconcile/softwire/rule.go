package softwire

import (
	"errors"
	"fmt"
	"net/netip"
)

// PSID is a port-set identifier that is not in the EA bits but given beside them (RFC 7597 appendix A example 5,
// RFC 7598 section 4.5).
type PSID struct {
	Value uint16 // right-aligned
	Len   int    // bits, k in RFC 7597 section 5.1
}

// Rule is a mapping rule (RFC 7597 section 5).
type Rule struct {
	IPv6, IPv4 netip.Prefix
	EABits     int   // bits of embedded address after the IPv6 prefix, o in RFC 7597 section 5.2
	PSIDOffset int   // bits of a port before the PSID, a in RFC 7597 section 5.1
	PSID       *PSID // nil, or of length 0: taken from the EA bits
	BR         netip.Addr
	DMR        netip.Prefix // MAP-T: the default mapping rule in the place of BR
}

// EndUserLen is the length in bits of the end-user prefix of the rule's lines.
func (r Rule) EndUserLen() int { return r.IPv6.Bits() + r.EABits }

// suffixLen is p of RFC 7597 section 5.2: how many EA bits continue the IPv4 prefix.
func (r Rule) suffixLen() int { return min(r.EABits, 32-r.IPv4.Bits()) }

// carriedLen is q of RFC 7597 section 5.2: how many EA bits are left for a PSID.
func (r Rule) carriedLen() int { return r.EABits - r.suffixLen() }

// explicit reports whether the rule has a PSID of its own. One of length 0 is to be ignored (RFC 7598 section 4.5).
func (r Rule) explicit() bool { return r.PSID != nil && r.PSID.Len != 0 }

func (r Rule) psidLen() int {
	if r.explicit() {
		return r.PSID.Len
	}
	return r.carriedLen()
}

// carrier is the way from a CE to the rule's domain: each border relay or DMR is a MAP domain of its own.
func (r Rule) carrier(ce netip.Addr) Carrier {
	if r.DMR.IsValid() {
		return Translator{ce, r.DMR}
	}
	return Tunnel{ce, r.BR}
}

// Check reports everything that is wrong with the rule, joined.
func (r Rule) Check() error { return errors.Join(r.problems()...) }

func (r Rule) problems() []error {
	checks := []func() error{
		r.checkIPv6,
		r.checkIPv4,
		r.checkFarEnd,
	}
	// The bounds of the numbers depend on the prefixes, and those of the PSID on the EA bits.
	if r.IPv6.IsValid() && r.IPv6.Addr().Is6() && r.IPv4.IsValid() && r.IPv4.Addr().Is4() {
		checks = append(checks, r.checkEABits)
		if r.checkEABits() == nil {
			checks = append(checks, r.checkPSID)
		}
	}
	var problems []error
	for _, check := range checks {
		if err := check(); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

func (r Rule) checkFarEnd() error {
	switch {
	case !r.DMR.IsValid():
		return checkEndpoint("br", r.BR)
	case r.BR.IsValid():
		return fmt.Errorf("br %v conflicts with dmr %v: a rule of MAP-E has a br, one of MAP-T a dmr", r.BR, r.DMR)
	}
	return CheckDMR(r.DMR)
}

func (r Rule) checkIPv6() error {
	if err := checkGlobal("ipv6", r.IPv6); err != nil {
		return err
	}
	if r.IPv6 != r.IPv6.Masked() {
		return fmt.Errorf("ipv6 %v has bits set after its first %d: write %v, or correct the length",
			r.IPv6, r.IPv6.Bits(), r.IPv6.Masked())
	}
	return nil
}

// checkIPv4 lets the EA bits have the whole address (RFC 7597 section 5.2: p is 32 when the rule's IPv4 prefix has
// length 0).
func (r Rule) checkIPv4() error {
	if !r.IPv4.IsValid() || !r.IPv4.Addr().Is4() || r.IPv4.Bits() > 0 {
		return checkIPv4(r.IPv4)
	}
	if r.EABits < 32 {
		return fmt.Errorf("ea-bits %d must be at least 32, because ipv4 %v has no part of the address: "+
			"32, and the length of the PSID", r.EABits, r.IPv4)
	}
	return nil
}

func (r Rule) checkEABits() error {
	suffix := 32 - r.IPv4.Bits()
	switch {
	case r.EABits < 0:
		return fmt.Errorf("ea-bits %d must be from 0 to %d", r.EABits, min(suffix+16, 128-r.IPv6.Bits()))
	case r.EABits > suffix+16:
		return fmt.Errorf("ea-bits %d is more than %v can use: %d bits of IPv4 suffix and 16 of PSID make at most %d",
			r.EABits, r.IPv4, suffix, suffix+16)
	case r.EndUserLen() > 128:
		return fmt.Errorf("ea-bits %d after %v reach to bit %d, past the 128 of an address: it must be at most %d",
			r.EABits, r.IPv6, r.EndUserLen(), 128-r.IPv6.Bits())
	}
	return nil
}

func (r Rule) checkPSID() error {
	carried := r.carriedLen()
	if !r.explicit() {
		err := checkPSID(0, 0, r.PSIDOffset)
		if err == nil && r.PSIDOffset+carried > 16 {
			err = fmt.Errorf("psid-offset %d and the PSID, which is %d of ea-bits %d, make %d, and a port has 16 bits: "+
				"psid-offset must be at most %d, or ea-bits at most %d",
				r.PSIDOffset, carried, r.EABits, r.PSIDOffset+carried, 16-carried, r.suffixLen()+16-r.PSIDOffset)
		}
		return err
	}
	if err := checkPSID(r.PSID.Value, r.PSID.Len, r.PSIDOffset); err != nil {
		return err
	}
	if carried > 0 && r.PSID.Len != carried {
		return fmt.Errorf("psid-len %d conflicts with the rule: of %d EA bits %d are IPv4 suffix, so the PSID has %d; "+
			"write psid-len %d, or leave psid and psid-len out",
			r.PSID.Len, r.EABits, r.suffixLen(), carried, carried)
	}
	if length := r.IPv4.Bits() + r.suffixLen(); length < 32 {
		return fmt.Errorf("psid-len %d shares one address, but %v and %d EA bits make a /%d: "+
			"ea-bits must be at least %d, or leave out psid and psid-len",
			r.PSID.Len, r.IPv4, r.EABits, length, 32-r.IPv4.Bits())
	}
	return nil
}

// checkPSID reports a value that does not fit its length, or a length that does not fit a port (RFC 7597 section 5.1:
// a + k + m = 16). The offset is at most 15 (RFC 7598 section 4.5).
func checkPSID(value uint16, length, offset int) error {
	switch {
	case offset < 0 || offset > 15:
		return fmt.Errorf("psid-offset %d is outside 0 to 15", offset)
	case length < 0 || length > 16:
		return fmt.Errorf("psid-len %d is outside 0 to 16", length)
	case offset+length > 16:
		return fmt.Errorf("psid-offset %d and psid-len %d make %d, and a port has 16 bits: "+
			"psid-offset must be at most %d, or psid-len at most %d",
			offset, length, offset+length, 16-length, 16-offset)
	case length == 0 && value != 0:
		return fmt.Errorf("psid %#x has psid-len 0, which stands for an address that is not shared: "+
			"write the number of its bits, or leave both out", value)
	case int(value)>>length != 0:
		return fmt.Errorf("psid %#x does not fit psid-len %d: it must be at most %#x, right-aligned",
			value, length, 1<<length-1)
	}
	return nil
}
