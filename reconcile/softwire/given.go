package softwire

import (
	"errors"
	"fmt"
	"net/netip"
)

// Given is the softwire of values that a calculator or the provider computed; nothing is derived. ipv4 is a /32, or
// shorter for a prefix that is not shared.
func Given(ce, br netip.Addr, ipv4 netip.Prefix, psid uint16, psidLen, psidOffset int) (Softwire, error) {
	err := errors.Join(
		checkEndpoint("ce", ce),
		checkEndpoint("br", br),
		checkGivenIPv4(ipv4, psidLen),
		checkPSID(psid, psidLen, psidOffset),
	)
	if err != nil {
		return Softwire{}, err
	}
	s := Softwire{Mode: MAPE, Carrier: Tunnel{ce, br}, Inner: ipv4, Ports: Ports{psid, psidLen, psidOffset}, NAT: true}
	if err := s.check(); err != nil {
		return Softwire{}, err
	}
	s.warnInner()
	return s, nil
}

func checkGivenIPv4(ipv4 netip.Prefix, psidLen int) error {
	if err := checkIPv4(ipv4); err != nil {
		return err
	}
	switch {
	case ipv4 != ipv4.Masked():
		return fmt.Errorf("ipv4 %v has bits set after its first %d: write %v for one address or %v for the prefix",
			ipv4, ipv4.Bits(), ipv4.Addr(), ipv4.Masked())
	case psidLen > 0 && ipv4.Bits() < 32:
		return fmt.Errorf("psid-len %d shares one address, but ipv4 %v is a prefix: "+
			"write one address, or leave out psid, psid-len and psid-offset", psidLen, ipv4)
	}
	return nil
}

// HomeLen is the length in bits of the end-user prefix of Japanese lines. A home gateway delegates a /60 or a /64 of
// it, while the CE address stays in subnet 0, so a longer prefix only identifies the line.
const HomeLen = 56

// CheckPrefix reports a CE address that is not in the line's prefix, or in the /56 around a longer one: packets to it do
// not arrive.
func (s Softwire) CheckPrefix(prefix netip.Prefix) error {
	if err := CheckPrefix(prefix); err != nil {
		return err
	}
	line := cut(prefix, HomeLen)
	if !line.Contains(s.CE()) {
		return fmt.Errorf("ce %v is outside the prefix %v: packets to it do not arrive on this line; "+
			"use the values for %v", s.CE(), line, line)
	}
	return nil
}
