package softwire_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"mape-netplan/reconcile/softwire"
)

// embed is the border relay's direction: the end-user prefix that an address and a PSID stand for (RFC 7597 section
// 5.3), reckoned apart from Compute, bit by bit.
func embed(r softwire.Rule, ipv4 netip.Addr, psid uint16) netip.Prefix {
	v6, v4 := r.IPv6.Addr().As16(), ipv4.As4()
	position := r.IPv6.Bits()
	put := func(bit bool) {
		if bit {
			v6[position/8] |= 1 << (7 - position%8)
		}
		position++
	}
	end := r.IPv6.Bits() + r.EABits
	for i := r.IPv4.Bits(); i < 32 && position < end; i++ {
		put(v4[i/8]>>(7-i%8)&1 == 1)
	}
	for length := end - position; length > 0; length-- {
		put(psid>>(length-1)&1 == 1)
	}
	return netip.PrefixFrom(netip.AddrFrom16(v6), end)
}

// extract reads the IPv4 address and the PSID back from a CE address.
func extract(ce netip.Addr, id softwire.InterfaceID) (netip.Addr, uint16) {
	b := ce.As16()
	iid := b[10:]
	if id == softwire.MAP03 {
		iid = b[9:]
	}
	return netip.AddrFrom4([4]byte(iid)), binary.BigEndian.Uint16(iid[4:])
}

// TestRoundTrip makes rules and prefixes at random and goes back from what a border relay sees.
func TestRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(7597, 7598))
	shared := 0
	for range 20000 {
		r, prefix := randomLine(random)
		id := softwire.InterfaceID(random.IntN(2))
		s, err := softwire.Compute([]softwire.Rule{r}, prefix, id)
		if err != nil {
			t.Fatalf("%+v %v: %v", r, prefix, err)
		}
		ipv4, psid := extract(s.CE(), id)
		if ipv4 != s.Inner.Addr() || psid != s.Ports.PSID {
			t.Fatalf("%+v %v: CE %v says %v and %#x, not %v and %#x", r, prefix, s.CE(), ipv4, psid, s.Inner, s.Ports.PSID)
		}
		if back := embed(r, ipv4, psid); back != s.Origin.EndUserPrefix || !back.Contains(prefix.Addr()) {
			t.Fatalf("%+v %v: goes back to %v, not %v", r, prefix, back, s.Origin.EndUserPrefix)
		}
		if !s.Origin.EndUserPrefix.Contains(s.CE()) || !r.IPv4.Contains(s.Inner.Addr()) {
			t.Fatalf("%+v %v: CE %v or IPv4 %v is outside", r, prefix, s.CE(), s.Inner)
		}
		if s.Ports.PSIDLen > 0 {
			shared++
		}
	}
	if shared < 5000 || shared > 19000 {
		t.Errorf("%d of 20000 lines share an address: the rules are too much alike", shared)
	}
}

// randomLine is a legal rule, and an end-user prefix in it or a /64 or address in that. The PSID has at most 15 bits: of
// 16 one value has no port.
func randomLine(random *rand.Rand) (softwire.Rule, netip.Prefix) {
	length4, length6 := 8+random.IntN(25), 16+random.IntN(49)
	suffix := 32 - length4
	eaBits := random.IntN(min(64-length6, suffix+15) + 1)
	v4 := [4]byte{100, byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32())}
	var v6 [16]byte
	binary.BigEndian.PutUint64(v6[:8], 0x2400<<48|random.Uint64()>>16)
	address := netip.AddrFrom16(v6)
	r := softwire.Rule{
		IPv6:       netip.PrefixFrom(address, length6).Masked(),
		IPv4:       netip.PrefixFrom(netip.AddrFrom4(v4), length4).Masked(),
		EABits:     eaBits,
		PSIDOffset: random.IntN(min(15, 16-max(0, eaBits-suffix)) + 1),
		BR:         netip.MustParseAddr("2001:db8:ffff::1"),
	}
	length := []int{r.EndUserLen(), 64, 128}[random.IntN(3)]
	return r, netip.PrefixFrom(address, length)
}

func TestExplicitPSIDReplacesCarriedOne(t *testing.T) {
	r := exampleRule()
	r.PSID = &softwire.PSID{Value: 0x56, Len: 8}
	s := compute(t, r, "2001:db8:12:3400::/56", softwire.RFC7597)
	if s.Ports.PSID != 0x56 || s.CE() != netip.MustParseAddr("2001:db8:12:3400:0:c000:212:56") {
		t.Errorf("PSID is %#x, CE %v", s.Ports.PSID, s.CE())
	}
	wantWarning(t, s, "the rule's psid 0x56 replaces 0x34, which is in the prefix: the border relay must be configured for it")
}

func TestIPv4HostBitsAreIgnored(t *testing.T) {
	r := exampleRule()
	r.IPv4 = netip.MustParsePrefix("192.0.2.77/24")
	s := compute(t, r, "2001:db8:12:3400::/56", softwire.RFC7597)
	if s.Inner != netip.MustParsePrefix("192.0.2.18/32") {
		t.Errorf("IPv4 is %v", s.Inner)
	}
	wantWarning(t, s, "rule ipv4 192.0.2.77/24 has bits set after its first 24, which are ignored (RFC 7598 section 4.1): "+
		"write 192.0.2.0/24, or correct the length")
}

// TestPartsOfThePrefix: whatever part of the /56 is handed out, the CE is the same; only a part that is not the first
// is worth a warning.
func TestPartsOfThePrefix(t *testing.T) {
	const ce = "2001:db8:12:3400:c0:2:1200:3400"
	for prefix, line := range map[string]string{
		"2001:db8:12:3400::/56":        "",
		"2001:db8:12:3400::/60":        "",
		"2001:db8:12:3400::/64":        "",
		"2001:db8:12:3400::1/128":      "",
		"2001:db8:12:3400:1:2:3:4/64":  "",
		"2001:db8:12:34f1::9/56":       "", // bits after the length say nothing
		"2001:db8:12:34f0::/60":        "2001:db8:12:34f0::/60",
		"2001:db8:12:34f1::/64":        "2001:db8:12:34f1::/64",
		"2001:db8:12:34f1:be24::8/128": "2001:db8:12:34f1::/64",
		"2001:db8:12:3401::/64":        "2001:db8:12:3401::/64",
	} {
		s := compute(t, exampleRule(), prefix, softwire.MAP03)
		if s.CE() != netip.MustParseAddr(ce) || s.Origin.EndUserPrefix != netip.MustParsePrefix("2001:db8:12:3400::/56") {
			t.Errorf("%s: CE %v of %v", prefix, s.CE(), s.Origin.EndUserPrefix)
		}
		if line == "" {
			if len(s.Warnings) != 0 {
				t.Errorf("%s: warnings %q", prefix, s.Warnings)
			}
			continue
		}
		wantWarning(t, s, line+" is not the first subnet of 2001:db8:12:3400::/56: it looks like a part that a home gateway delegated. "+
			"The CE address "+ce+" is in the first one, 2001:db8:12:3400::/64, the home gateway's own LAN: "+
			"the WAN of this machine must be on that link")
		if len(s.Warnings) != 1 || s.Warnings[0].Kind != softwire.NotFirst {
			t.Errorf("%s: %+v", prefix, s.Warnings)
		}
	}
}

func wantWarning(t *testing.T, s softwire.Softwire, text string) {
	t.Helper()
	if got := strings.Join(s.WarningTexts(), "\n"); got != text {
		t.Errorf("the warning is\n  %s\nwant\n  %s", got, text)
	}
}
