package softwire

import (
	"errors"
	"fmt"
	"net/netip"
)

// Fixed is a fixed IPv4 address, or a block, over IPv4 in IPv6 (RFC 2473). Of CE and InterfaceID at most one is given; without
// them the CE address is made from the IPv4 address.
type Fixed struct {
	BR          netip.Addr
	IPv4        netip.Prefix
	CE          netip.Addr
	InterfaceID netip.Addr // ::feed or ::c0:2:12:0: the lower half of the CE address
	Routed      bool       // the block is that of a LAN; otherwise its first address is the gateway's and the rest unused
}

// Check reports everything that is wrong with the values, joined.
func (f Fixed) Check() error {
	problems := []error{checkEndpoint("br", f.BR), checkIPv4(f.IPv4)}
	if f.CE.IsValid() {
		problems = append(problems, checkEndpoint("ce", f.CE))
	}
	if id := f.InterfaceID; id.IsValid() && (!id.Is6() || field(id, 0, 64) != 0 || field(id, 64, 64) == 0) {
		problems = append(problems, fmt.Errorf("interface-id %v must be the lower half of an IPv6 address, such as ::feed or ::c0:2:12:0", id))
	}
	if f.CE.IsValid() && f.InterfaceID.IsValid() {
		problems = append(problems, fmt.Errorf("interface-id %v conflicts with ce %v, which is a whole address", f.InterfaceID, f.CE))
	}
	return errors.Join(problems...)
}

// Softwire is the softwire on the line of prefix, in whose first /64 the CE address is: a /56 stands for its subnet 0, an
// address for the /64 that it is in. Where CE is given, an invalid prefix is one that is not known.
func (f Fixed) Softwire(prefix netip.Prefix) (Softwire, error) {
	known := prefix.IsValid() || !f.CE.IsValid()
	err := f.Check()
	if known {
		err = errors.Join(err, CheckPrefix(prefix))
	}
	if err != nil {
		return Softwire{}, err
	}
	s := Softwire{
		Mode:    IPIP,
		Carrier: Tunnel{f.ce(cut(prefix, 64)), f.BR},
		Inner:   f.IPv4.Masked(),
		NAT:     !f.Routed,
	}
	if s.NAT {
		s.Inner = netip.PrefixFrom(f.IPv4.Addr(), 32)
	}
	if err = s.check(); err == nil && known {
		err = s.CheckPrefix(prefix)
	}
	if err != nil {
		return Softwire{}, err
	}
	s.warnInner()
	return s, nil
}

func (f Fixed) ce(subnet netip.Prefix) netip.Addr {
	switch {
	case f.CE.IsValid():
		return f.CE
	case f.InterfaceID.IsValid():
		b, low := subnet.Addr().As16(), f.InterfaceID.As16()
		copy(b[8:], low[8:])
		return netip.AddrFrom16(b)
	}
	// OCN's form, 00AA:BBCC:DD00:0000 of the block's first address, is that of map-03 with PSID 0.
	return MAP03.address(subnet, ipv4Bits(f.IPv4.Masked().Addr()), 0)
}
