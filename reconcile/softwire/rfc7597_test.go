package softwire_test

import (
	"net/netip"
	"testing"

	"mape-netplan/reconcile/softwire"
)

// The rule of RFC 7597 appendix A, examples 1 and 2.
func exampleRule() softwire.Rule {
	return softwire.Rule{
		IPv6:       netip.MustParsePrefix("2001:db8::/40"),
		IPv4:       netip.MustParsePrefix("192.0.2.0/24"),
		EABits:     16,
		PSIDOffset: 6,
		BR:         netip.MustParseAddr("2001:db8:ffff::1"),
	}
}

// The rule of RFC 7597 appendix A, examples 4 and 5, whose address is not in the EA bits.
func exampleOneLineRule() softwire.Rule {
	return softwire.Rule{
		IPv6:       netip.MustParsePrefix("2001:db8:12:3400::/56"),
		IPv4:       netip.MustParsePrefix("192.0.2.18/32"),
		PSIDOffset: 6,
		BR:         netip.MustParseAddr("2001:db8:ffff::1"),
	}
}

func compute(t *testing.T, r softwire.Rule, prefix string, id softwire.InterfaceID) softwire.Softwire {
	t.Helper()
	s, err := softwire.Compute([]softwire.Rule{r}, netip.MustParsePrefix(prefix), id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func want(t *testing.T, s softwire.Softwire, ce, ipv4 string, psid, psidLen, count int) {
	t.Helper()
	if s.CE() != netip.MustParseAddr(ce) {
		t.Errorf("CE is %v, want %s", s.CE(), ce)
	}
	if s.Inner != netip.MustParsePrefix(ipv4) {
		t.Errorf("IPv4 is %v, want %s", s.Inner, ipv4)
	}
	if int(s.Ports.PSID) != psid || s.Ports.PSIDLen != psidLen {
		t.Errorf("PSID is %#x of %d bits, want %#x of %d", s.Ports.PSID, s.Ports.PSIDLen, psid, psidLen)
	}
	if s.Ports.Count() != count {
		t.Errorf("the set has %d ports, want %d", s.Ports.Count(), count)
	}
	if s.Origin.EndUserPrefix != netip.MustParsePrefix("2001:db8:12:3400::/56") {
		t.Errorf("end-user prefix is %v", s.Origin.EndUserPrefix)
	}
	if len(s.Warnings) != 0 {
		t.Errorf("warnings %q", s.Warnings)
	}
}

func TestRFC7597Example1BasicMappingRule(t *testing.T) {
	s := compute(t, exampleRule(), "2001:db8:12:3400::/56", softwire.RFC7597)
	want(t, s, "2001:db8:12:3400:0:c000:212:34", "192.0.2.18/32", 0x34, 8, 252)
	all := s.Ports.Ranges()
	first, last := all[0], all[len(all)-1]
	if len(all) != 63 || first != (softwire.PortRange{First: 1232, Last: 1235}) || last != (softwire.PortRange{First: 64720, Last: 64723}) {
		t.Errorf("%d ranges from %v to %v", len(all), first, last)
	}
}

// Example 2 goes the other way: the border relay has 192.0.2.18 port 1232 and finds the CE.
func TestRFC7597Example2BorderRelay(t *testing.T) {
	s := compute(t, exampleRule(), "2001:db8:12:3400::/56", softwire.RFC7597)
	if !s.Ports.Has(1232) {
		t.Error("port 1232 is not in the set")
	}
	prefix := embed(exampleRule(), netip.MustParseAddr("192.0.2.18"), 0x34)
	if prefix != s.Origin.EndUserPrefix {
		t.Errorf("the border relay finds %v", prefix)
	}
}

func TestRFC7597Example4NoEmbeddedAddress(t *testing.T) {
	s := compute(t, exampleOneLineRule(), "2001:db8:12:3400::/56", softwire.RFC7597)
	want(t, s, "2001:db8:12:3400:0:c000:212:0", "192.0.2.18/32", 0, 0, 65535)
}

func TestRFC7597Example5ExplicitPSID(t *testing.T) {
	r := exampleOneLineRule()
	r.PSID = &softwire.PSID{Value: 0x34, Len: 8}
	s := compute(t, r, "2001:db8:12:3400::/56", softwire.RFC7597)
	want(t, s, "2001:db8:12:3400:0:c000:212:34", "192.0.2.18/32", 0x34, 8, 252)
}

// The EA bits have the whole IPv4 address when the rule's IPv4 prefix has length 0 (RFC 7597 section 5.2).
func TestRFC7597Section5WholeAddress(t *testing.T) {
	r := exampleRule()
	r.IPv6, r.IPv4, r.EABits = netip.MustParsePrefix("2001::/16"), netip.MustParsePrefix("0.0.0.0/0"), 40
	s := compute(t, r, "2001:c000:212:3400::/56", softwire.RFC7597)
	if s.CE() != netip.MustParseAddr("2001:c000:212:3400:0:c000:212:34") || s.Inner != netip.MustParsePrefix("192.0.2.18/32") || s.Ports.PSID != 0x34 || s.Ports.PSIDLen != 8 || len(s.Warnings) > 0 {
		t.Errorf("%+v", s)
	}
	if prefix := embed(r, netip.MustParseAddr("192.0.2.18"), 0x34); prefix != s.Origin.EndUserPrefix {
		t.Errorf("the border relay finds %v", prefix)
	}
	r.EABits, r.IPv6 = 32, netip.MustParsePrefix("2001:db8::/32")
	if s = compute(t, r, "2001:db8:c000:212::/64", softwire.RFC7597); s.Inner != netip.MustParsePrefix("192.0.2.18/32") || s.Ports.PSIDLen != 0 || s.Ports.Count() != 65535 {
		t.Errorf("%+v", s)
	}
	for _, prefix := range []string{"2001:db8:7f00:1::/64", "2001:db8::/64"} {
		if s, err := softwire.Compute([]softwire.Rule{r}, netip.MustParsePrefix(prefix), softwire.RFC7597); err == nil {
			t.Errorf("%s has %v", prefix, s.Inner)
		}
	}
}

// An IPv4 prefix is right-padded with zeros in the interface identifier and the PSID is 0 (RFC 7597 section 6).
func TestRFC7597Section6IPv4Prefix(t *testing.T) {
	r := exampleRule()
	r.IPv6, r.EABits = netip.MustParsePrefix("2001:db8:12:3000::/52"), 4
	s := compute(t, r, "2001:db8:12:3400::/56", softwire.RFC7597)
	want(t, s, "2001:db8:12:3400:0:c000:240:0", "192.0.2.64/28", 0, 0, 65535)
	s = compute(t, r, "2001:db8:12:3400::/56", softwire.MAP03)
	want(t, s, "2001:db8:12:3400:c0:2:4000:0", "192.0.2.64/28", 0, 0, 65535)
}

// draft-ietf-softwire-map-03 puts the IPv4 address one byte earlier and ends with a zero byte.
func TestMAP03InterfaceID(t *testing.T) {
	s := compute(t, exampleRule(), "2001:db8:12:3400::/56", softwire.MAP03)
	want(t, s, "2001:db8:12:3400:c0:2:1200:3400", "192.0.2.18/32", 0x34, 8, 252)
}

// A long end-user prefix overwrites the first bits of the interface identifier (RFC 7597 section 6).
func TestRFC7597Section6LongPrefix(t *testing.T) {
	for _, test := range []struct {
		ipv6, ipv4, prefix string
		eaBits, offset     int
		id                 softwire.InterfaceID
		ce                 string
		psid, psidLen      int
	}{
		{"2001:db8:ce::/56", "192.0.2.0/24", "2001:db8:ce:12:d800::/69", 13, 6, softwire.RFC7597, "2001:db8:ce:12:d800:c000:212:1b", 0x1b, 5},
		{"2001:db8:ce::/56", "192.0.2.0/24", "2001:db8:ce:12:d800::/69", 13, 6, softwire.MAP03, "2001:db8:ce:12:d8c0:2:1200:1b00", 0x1b, 5},
		{"2001:db8:ce:11b:4000::/66", "192.0.2.0/24", "2001:db8:ce:11b:4480:d000::/96", 16, 6, softwire.RFC7597, "2001:db8:ce:11b:4480:c000:212:3", 3, 8},
		{"2001:db8::/32", "0.0.0.0/0", "2001:db8:c000:212:3400::/72", 40, 6, softwire.RFC7597, "2001:db8:c000:212:3400:c000:212:34", 0x34, 8},
		{"2001:db8::/32", "0.0.0.0/0", "2001:db8:c000:212:8034::/80", 48, 0, softwire.RFC7597, "2001:db8:c000:212:8034:c000:212:8034", 0x8034, 16},
		{"2001:db8:ce:11b:0:c000:212::/112", "192.0.2.18/32", "2001:db8:ce:11b:0:c000:212::/112", 0, 6, softwire.RFC7597, "2001:db8:ce:11b:0:c000:212:0", 0, 0},
		{"2001:db8:ce:11b:0:c000:212:34/128", "192.0.2.18/32", "2001:db8:ce:11b:0:c000:212:34/128", 0, 6, softwire.RFC7597, "2001:db8:ce:11b:0:c000:212:34", 0, 0},
	} {
		r := exampleRule()
		r.IPv6, r.IPv4, r.EABits, r.PSIDOffset = netip.MustParsePrefix(test.ipv6), netip.MustParsePrefix(test.ipv4), test.eaBits, test.offset
		s := compute(t, r, test.prefix, test.id)
		ports := softwire.Ports{PSID: uint16(test.psid), PSIDLen: test.psidLen, PSIDOffset: test.offset}
		if s.CE().String() != test.ce || s.Inner.String() != "192.0.2.18/32" || s.Ports != ports || len(s.Warnings) > 0 {
			t.Errorf("%s: %v %v %+v %q", test.prefix, s.CE(), s.Inner, s.Ports, s.WarningTexts())
		}
	}
	r := exampleRule()
	r.IPv6 = netip.MustParsePrefix("2001:db8:ce::/56")
	_, err := softwire.Compute([]softwire.Rule{r}, netip.MustParsePrefix("2001:db8:ce:12::/64"), softwire.RFC7597)
	wantError(t, err, "prefix 2001:db8:ce:12::/64 is too short for rule 2001:db8:ce::/56, which with 16 EA bits needs a /72: give the whole /72 that this line has")
}

// Of rules inside each other the one with the longest IPv6 prefix is the line's (RFC 7597 section 5).
func TestRFC7597Section5LongestMatch(t *testing.T) {
	p := netip.MustParsePrefix
	outer, inner, line := exampleRule(), exampleRule(), exampleOneLineRule()
	inner.IPv6, inner.IPv4, inner.EABits = p("2001:db8:12::/48"), p("198.51.100.0/24"), 8
	line.IPv6, line.IPv4 = p("2001:db8:12:3400::/56"), p("203.0.113.9/32")
	for prefix, ipv4 := range map[string]string{
		"2001:db8:11:3400::/56":   "192.0.2.17/32",
		"2001:db8:12:3300::/56":   "198.51.100.51/32",
		"2001:db8:12:3300::1/128": "198.51.100.51/32",
		"2001:db8:12:3400::/56":   "203.0.113.9/32",
		"2001:db8:12:3400::/64":   "203.0.113.9/32",
	} {
		for _, rules := range [][]softwire.Rule{{outer, inner, line}, {line, inner, outer}, {inner, outer, line}} {
			s, err := softwire.Compute(rules, p(prefix), softwire.RFC7597)
			if err != nil || s.Inner != p(ipv4) || len(s.Warnings) > 0 {
				t.Errorf("%s: %v, %v %q, want %s", prefix, err, s.Inner, s.WarningTexts(), ipv4)
			}
		}
	}
	_, err := softwire.Compute([]softwire.Rule{inner, outer}, p("2001:db8:12::/48"), softwire.RFC7597)
	wantError(t, err, "prefix 2001:db8:12::/48 is too short for rule 2001:db8:12::/48, which with 8 EA bits needs a /56: give the whole /56 that this line has")
	// A rule inside the prefix is for a part of the line only.
	_, err = softwire.Compute([]softwire.Rule{inner, line, outer}, p("2001:db8:10::/46"), softwire.RFC7597)
	wantError(t, err, "prefix 2001:db8:10::/46 is too short for rule 2001:db8::/40, which with 16 EA bits needs a /56: give the whole /56 that this line has")

	inner.IPv6, inner.IPv4 = p("2001:db8:100::/48"), p("192.0.2.16/28")
	s, err := softwire.Compute([]softwire.Rule{inner, outer}, p("2001:db8:12:3400::/56"), softwire.RFC7597)
	if err != nil {
		t.Fatal(err)
	}
	wantWarning(t, s, "ipv4 192.0.2.18/32 is in 192.0.2.16/28 of rule 1, too, the longer match: packets to it go to another customer, or this line's rule is wrong")
}

// A PSID of length 0 is ignored (RFC 7598 section 4.5).
func TestRFC7598Section4PSIDOfNoBits(t *testing.T) {
	r := exampleRule()
	r.PSID = new(softwire.PSID)
	s := compute(t, r, "2001:db8:12:3400::/56", softwire.RFC7597)
	want(t, s, "2001:db8:12:3400:0:c000:212:34", "192.0.2.18/32", 0x34, 8, 252)
	r.PSID.Value = 0x56
	wantWarning(t, compute(t, r, "2001:db8:12:3400::/56", softwire.RFC7597),
		"rule psid 0x56 is ignored, because psid-len is 0 (RFC 7598 section 4.5): write the number of its bits, or leave both out")
	r = exampleOneLineRule()
	r.PSID = new(softwire.PSID)
	s = compute(t, r, "2001:db8:12:3400::/56", softwire.RFC7597)
	want(t, s, "2001:db8:12:3400:0:c000:212:0", "192.0.2.18/32", 0, 0, 65535)
}
