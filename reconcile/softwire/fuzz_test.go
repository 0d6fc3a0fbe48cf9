package softwire_test

import (
	"net/netip"
	"testing"

	"mape-netplan/reconcile/softwire"
)

// FuzzCompute: whatever the rule and the prefix, Compute returns, and what it accepts holds together.
func FuzzCompute(f *testing.F) {
	bytes := func(s string) []byte { return netip.MustParseAddr(s).AsSlice() }
	f.Add(bytes("2001:db8::"), 40, bytes("192.0.2.0"), 24, 16, 6, uint16(0), -1, bytes("2001:db8:12:3400::"), 56, uint8(0))
	f.Add(bytes("2001:db8:12:3400::"), 56, bytes("192.0.2.18"), 32, 0, 6, uint16(0x34), 8, bytes("2001:db8:12:34f1::8"), 128, uint8(1))
	f.Add(bytes("2400:4050:4000::"), 35, bytes("153.241.0.0"), 17, 21, 6, uint16(0), -1, bytes("2400:4050:5c71:af00::"), 64, uint8(1))
	f.Add(bytes("240b:10::"), 31, bytes("106.72.0.0"), 15, 25, 4, uint16(0), -1, bytes("240b:10:2a40::"), 48, uint8(1))
	f.Add(bytes("2001:db8::"), 40, bytes("192.0.2.77"), 24, 16, 0, uint16(0), 16, bytes("2001:db8:10::"), 44, uint8(2))
	f.Add(bytes("2001:db8:ce::"), 56, bytes("192.0.2.0"), 24, 13, 6, uint16(0), 0, bytes("2001:db8:ce:12:d800::"), 69, uint8(1))
	f.Add(bytes("2001:db8:ce:11b:4000::"), 98, bytes("0.0.0.0"), 0, 30, 0, uint16(9), 4, bytes("2001:db8:ce:11b:4000::1"), 128, uint8(0))
	f.Fuzz(func(t *testing.T, rule6 []byte, length6 int, rule4 []byte, length4, eaBits, offset int, psid uint16, psidLen int, line []byte, lineLen int, id uint8) {
		a6, _ := netip.AddrFromSlice(rule6)
		a4, _ := netip.AddrFromSlice(rule4)
		l, _ := netip.AddrFromSlice(line)
		r := softwire.Rule{
			IPv6:   netip.PrefixFrom(a6, length6),
			IPv4:   netip.PrefixFrom(a4, length4),
			EABits: eaBits, PSIDOffset: offset, BR: netip.MustParseAddr("2001:db8:ffff::1"),
		}
		if psidLen >= 0 {
			r.PSID = &softwire.PSID{Value: psid, Len: psidLen}
		}
		prefix := netip.PrefixFrom(l, lineLen)
		s, err := softwire.Compute([]softwire.Rule{r}, prefix, softwire.InterfaceID(id))
		if err != nil {
			return
		}
		holdsTogether(t, r, prefix, s)
	})
}

func holdsTogether(t *testing.T, r softwire.Rule, prefix netip.Prefix, s softwire.Softwire) {
	if !s.Origin.EndUserPrefix.Contains(s.CE()) || !s.Origin.EndUserPrefix.Contains(prefix.Addr()) {
		t.Errorf("CE %v, line %v, end-user prefix %v", s.CE(), prefix, s.Origin.EndUserPrefix)
	}
	if !r.IPv4.Contains(s.Inner.Addr()) || s.Inner != s.Inner.Masked() || (s.Ports.PSIDLen > 0 && s.Inner.Bits() != 32) {
		t.Errorf("IPv4 %v of %v, PSID of %d bits", s.Inner, r.IPv4, s.Ports.PSIDLen)
	}
	if ports := s.Ports.Ranges(); len(ports) == 0 || !s.Ports.Has(ports[0].First) || s.Ports.Has(0) {
		t.Errorf("ports %v", ports)
	}
	if back, err := softwire.Given(s.CE(), s.BR(), s.Inner, s.Ports.PSID, s.Ports.PSIDLen, s.Ports.PSIDOffset); err != nil || back.Ports.Count() != s.Ports.Count() {
		t.Errorf("given back: %v", err)
	}
	if err := s.CheckPrefix(s.Origin.EndUserPrefix); err != nil {
		t.Errorf("own prefix: %v", err)
	}
}
