package softwire

import (
	"errors"
	"fmt"
	"net/netip"
)

// Binding is what an lwAFTR has of a customer (RFC 7596 section 5.1, RFC 7598 section 4.4).
type Binding struct {
	LwAFTR netip.Addr
	IPv4   netip.Addr
	Ports  Ports        // of offset 0 unless something else is given; the zero value is the whole address
	Prefix netip.Prefix // that the CE address must be in, of any length; invalid or ::/0: any of the line
}

// Check reports everything that is wrong with the binding, joined.
func (b Binding) Check() error {
	problems := []error{
		checkEndpoint("lwaftr", b.LwAFTR),
		checkIPv4(netip.PrefixFrom(b.IPv4, 32)),
		checkPSID(b.Ports.PSID, b.Ports.PSIDLen, b.Ports.PSIDOffset),
	}
	if b.Prefix.Bits() > 0 {
		problems = append(problems, CheckPrefix(b.Prefix))
	}
	return errors.Join(problems...)
}

// Softwire is the softwire of a binding on a line that has the active prefixes: they are matched with the binding's, and
// the CE address is in the first subnet of the longest match (RFC 7596 section 5.1). Without an active prefix it is in the
// first subnet of the binding's own.
func (b Binding) Softwire(active ...netip.Prefix) (Softwire, error) {
	if err := b.Check(); err != nil {
		return Softwire{}, err
	}
	subnet, err := b.subnet(active)
	if err != nil {
		return Softwire{}, err
	}
	s := Softwire{
		Mode:    LW4o6,
		Carrier: Tunnel{RFC7597.address(subnet, ipv4Bits(b.IPv4), b.Ports.PSID), b.LwAFTR},
		Inner:   netip.PrefixFrom(b.IPv4, 32),
		Ports:   b.Ports,
		NAT:     true,
	}
	if err := s.check(); err != nil {
		return Softwire{}, err
	}
	s.warnInner()
	return s, nil
}

// subnet is the longer one of the binding's prefix and the active one that agrees with it in most bits. An active address
// stands for its /64.
func (b Binding) subnet(active []netip.Prefix) (netip.Prefix, error) {
	bind := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	if b.Prefix.Bits() > 0 {
		bind = b.Prefix.Masked()
	}
	found, most := netip.Prefix{}, -1
	for _, p := range active {
		p = cut(p, 64)
		if common := min(p.Bits(), bind.Bits()); p.Overlaps(bind) && common > most {
			found, most = p, common
		}
	}
	switch {
	case most >= 0 && found.Bits() >= bind.Bits():
		return found, nil
	case most >= 0 || len(active) == 0 && bind.Bits() > 0:
		return bind, nil
	}
	return found, fmt.Errorf("prefix %v of the binding is not on this line, which has %v: the values are those of another line", bind, active)
}
