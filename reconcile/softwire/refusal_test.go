package softwire_test

import (
	"errors"
	"net/netip"
	"testing"

	"mape-netplan/reconcile/softwire"
)

func wantError(t *testing.T, err error, text string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("nothing is refused, want\n  %s", text)
	case err.Error() != text:
		t.Errorf("the error is\n  %v\nwant\n  %s", err, text)
	}
}

// TestRuleCheck changes one thing of a good rule.
func TestRuleCheck(t *testing.T) {
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	for name, test := range map[string]struct {
		change func(*softwire.Rule)
		want   string
	}{
		"no ipv6": {func(r *softwire.Rule) { r.IPv6 = netip.Prefix{} },
			"ipv6 is missing or not a prefix: it must be an IPv6 prefix such as 2001:db8:12:3400::/56"},
		"ipv6 too long": {func(r *softwire.Rule) { r.IPv6 = netip.PrefixFrom(a("2001:db8::"), 129) },
			"ipv6 is missing or not a prefix: it must be an IPv6 prefix such as 2001:db8:12:3400::/56"},
		"ipv6 is ipv4": {func(r *softwire.Rule) { r.IPv6 = p("192.0.2.0/24") },
			"ipv6 192.0.2.0/24 must be a global IPv6 prefix of the provider, such as 2001:db8:12:3400::/56: 192.0.2.0 is an IPv4 address"},
		"ipv6 host bits": {func(r *softwire.Rule) { r.IPv6 = p("2001:db8:12:3400::/40") },
			"ipv6 2001:db8:12:3400::/40 has bits set after its first 40: write 2001:db8::/40, or correct the length"},
		"br and dmr": {func(r *softwire.Rule) { r.DMR = p("2001:db8:ffff::/64") },
			"br 2001:db8:ffff::1 conflicts with dmr 2001:db8:ffff::/64: a rule of MAP-E has a br, one of MAP-T a dmr"},
		"dmr": {func(r *softwire.Rule) { r.BR, r.DMR = netip.Addr{}, p("2001:db8:ff00::/60") },
			"dmr 2001:db8:ff00::/60 must have 32, 40, 48, 56, 64 or 96 bits (RFC 6052 section 2.2)"},
		"no ipv4": {func(r *softwire.Rule) { r.IPv4 = netip.Prefix{} },
			"ipv4 is missing or not a prefix: it must be an IPv4 prefix such as 192.0.2.0/24, or an address"},
		"ipv4 is ipv6": {func(r *softwire.Rule) { r.IPv4 = p("2001:db8::/32") },
			"ipv4 2001:db8::/32 is an IPv6 prefix: it must be an IPv4 prefix such as 192.0.2.0/24, or an address"},
		"ipv4 multicast": {func(r *softwire.Rule) { r.IPv4 = p("224.0.0.0/24") },
			"ipv4 224.0.0.0/24 is in 224.0.0.0/4 (multicast): it must be a unicast IPv4 prefix such as 192.0.2.0/24, or an address"},
		"ipv4 of length 0": {func(r *softwire.Rule) { r.IPv4 = p("0.0.0.0/0") },
			"ea-bits 16 must be at least 32, because ipv4 0.0.0.0/0 has no part of the address: 32, and the length of the PSID"},
		"ipv4 unspecified": {func(r *softwire.Rule) { r.IPv4 = p("0.0.0.0/32"); r.EABits = 8 },
			"ipv4 0.0.0.0/32 is in 0.0.0.0/8 (this network): it must be a unicast IPv4 prefix such as 192.0.2.0/24, or an address"},
		"no br": {func(r *softwire.Rule) { r.BR = netip.Addr{} },
			"br is missing: it must be an IPv6 address such as 2001:db8:ffff::1"},
		"br link-local": {func(r *softwire.Rule) { r.BR = a("fe80::1") },
			"br fe80::1 is a link-local address: it must be a unicast IPv6 address that the line routes, such as 2001:db8:ffff::1"},
		"negative ea-bits": {func(r *softwire.Rule) { r.EABits = -1 },
			"ea-bits -1 must be from 0 to 24"},
		"ea-bits past the PSID": {func(r *softwire.Rule) { r.IPv4 = p("192.0.2.18/32"); r.EABits = 17 },
			"ea-bits 17 is more than 192.0.2.18/32 can use: 0 bits of IPv4 suffix and 16 of PSID make at most 16"},
		"ea-bits past the prefix": {func(r *softwire.Rule) { r.IPv6 = p("2001:db8:12::/113") },
			"ea-bits 16 after 2001:db8:12::/113 reach to bit 129, past the 128 of an address: it must be at most 15"},
		"offset": {func(r *softwire.Rule) { r.PSIDOffset = 16 },
			"psid-offset 16 is outside 0 to 15"},
		"offset and length": {func(r *softwire.Rule) { r.EABits = 20 },
			"psid-offset 6 and the PSID, which is 12 of ea-bits 20, make 18, and a port has 16 bits: psid-offset must be at most 4, or ea-bits at most 18"},
		"offset, length 1": {func(r *softwire.Rule) { r.EABits, r.PSIDOffset = 10, 15 },
			"psid-offset 15 and the PSID, which is 2 of ea-bits 10, make 17, and a port has 16 bits: psid-offset must be at most 14, or ea-bits at most 9"},
		"psid too large": {func(r *softwire.Rule) { r.PSID = &softwire.PSID{Value: 0x100, Len: 8} },
			"psid 0x100 does not fit psid-len 8: it must be at most 0xff, right-aligned"},
		"psid-len too large": {func(r *softwire.Rule) { r.PSID = &softwire.PSID{Len: 17} },
			"psid-len 17 is outside 0 to 16"},
		"psid-len contradicts": {func(r *softwire.Rule) { r.PSID = &softwire.PSID{Value: 0x34, Len: 6} },
			"psid-len 6 conflicts with the rule: of 16 EA bits 8 are IPv4 suffix, so the PSID has 8; write psid-len 8, or leave psid and psid-len out"},
		"psid of a prefix": {func(r *softwire.Rule) { r.EABits = 4; r.PSID = &softwire.PSID{Value: 0x34, Len: 6} },
			"psid-len 6 shares one address, but 192.0.2.0/24 and 4 EA bits make a /28: ea-bits must be at least 8, or leave out psid and psid-len"},
		"several": {func(r *softwire.Rule) { r.BR = netip.Addr{}; r.PSIDOffset = -1 },
			"br is missing: it must be an IPv6 address such as 2001:db8:ffff::1\npsid-offset -1 is outside 0 to 15"},
	} {
		t.Run(name, func(t *testing.T) {
			r := exampleRule()
			test.change(&r)
			wantError(t, r.Check(), test.want)
			if _, err := softwire.Compute([]softwire.Rule{r}, p("2001:db8:12:3400::/56"), softwire.RFC7597); err == nil {
				t.Error("Compute takes the rule")
			}
		})
	}
}

func TestCheckRules(t *testing.T) {
	p := netip.MustParsePrefix
	other := exampleRule()
	other.IPv6, other.IPv4 = p("2001:db8:100::/40"), p("198.51.100.0/24")
	if err := softwire.CheckRules([]softwire.Rule{exampleRule(), other}); err != nil {
		t.Errorf("good rules are refused: %v", err)
	}

	same := other
	same.IPv6 = p("2001:db8::/40")
	wantError(t, softwire.CheckRules([]softwire.Rule{exampleRule(), same}),
		"rule 2: ipv6 2001:db8::/40 is that of rule 1, too: a prefix must have one rule only, so remove or correct one of the two")

	sameIPv4 := other
	sameIPv4.IPv4 = p("192.0.2.77/24")
	err := softwire.CheckRules([]softwire.Rule{exampleRule(), sameIPv4})
	wantError(t, err, "rule 2: ipv4 192.0.2.77/24 is that of rule 1, too, at the same far end: an address and port must lie in one rule only, so remove or correct one of the two")
	if e := (*softwire.RuleError)(nil); !errors.As(err, &e) || e.Index != 1 {
		t.Errorf("%#v does not tell the rule", err)
	}
	for _, change := range []func(*softwire.Rule){
		func(r *softwire.Rule) { r.BR = netip.MustParseAddr("2001:db8:fffe::1") },
		func(r *softwire.Rule) { r.BR, r.DMR = netip.Addr{}, p("2001:db8:fffe::/64") },
	} {
		change(&sameIPv4)
		if err := softwire.CheckRules([]softwire.Rule{exampleRule(), sameIPv4}); err != nil {
			t.Errorf("another domain with the same addresses is refused: %v", err)
		}
	}

	bad, worse := exampleRule(), exampleRule()
	bad.PSIDOffset, worse.EABits, worse.BR = 16, -1, netip.Addr{}
	wantError(t, softwire.CheckRules([]softwire.Rule{bad, other, worse}), "rule 1: psid-offset 16 is outside 0 to 15\n"+
		"rule 3: br is missing: it must be an IPv6 address such as 2001:db8:ffff::1\nrule 3: ea-bits -1 must be from 0 to 24")
}

// TestRulesOfOneAddress: lines that share an address by explicit PSIDs have one rule each.
func TestRulesOfOneAddress(t *testing.T) {
	line := func(prefix string, psid, length, offset int) softwire.Rule {
		r := exampleOneLineRule()
		r.IPv6, r.PSIDOffset = netip.MustParsePrefix(prefix), offset
		r.PSID = &softwire.PSID{Value: uint16(psid), Len: length}
		return r
	}
	mine := line("2001:db8:12:3400::/56", 0x34, 8, 6)
	for _, test := range []struct {
		name   string
		theirs softwire.Rule
		ok     bool
	}{
		{"another PSID", line("2001:db8:12:3500::/56", 0x35, 8, 6), true},
		{"a shorter one", line("2001:db8:12:3500::/56", 0x2, 4, 6), true},
		{"the same", line("2001:db8:12:3500::/56", 0x34, 8, 6), false},
		{"a shorter one that holds it", line("2001:db8:12:3500::/56", 0x3, 4, 6), false},
		{"another offset", line("2001:db8:12:3500::/56", 0x35, 8, 4), false},
		{"the whole address", line("2001:db8:12:3500::/56", 0, 0, 6), false},
	} {
		if err := softwire.CheckRules([]softwire.Rule{mine, test.theirs}); (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestComputeRefuses(t *testing.T) {
	far := exampleRule()
	far.IPv6, far.IPv4 = netip.MustParsePrefix("2400:4050::/34"), netip.MustParsePrefix("198.51.100.0/24")
	const global = " must be a global IPv6 prefix of the provider, such as 2001:db8:12:3400::/56: "
	for _, test := range []struct{ prefix, want string }{
		{"2001:db8:12::/48", "prefix 2001:db8:12::/48 is too short for rule 2001:db8::/40, which with 16 EA bits needs a /56: give the whole /56 that this line has"},
		{"2001::/16", "prefix 2001::/16 is too short for rule 2001:db8::/40, which with 16 EA bits needs a /56: give the whole /56 that this line has"},
		{"2001:db9:12:3400::/56", "prefix 2001:db9:12:3400::/56 is outside every rule: the nearest is 2001:db8::/40, with which it shares the first 31 bits; correct the prefix or add its rule"},
		{"240b:10:2a40:9600::/56", "prefix 240b:10:2a40:9600::/56 is outside every rule, and not near one: the rules or the prefix belong to another line"},
		{"fd00:12:3400::/56", "prefix fd00:12:3400::/56" + global + "fd00:12:3400:: is a unique local address, which is for LANs only"},
		{"fe80::/64", "prefix fe80::/64" + global + "fe80:: is a link-local address"},
		{"ff02::1/128", "prefix ff02::1/128" + global + "ff02::1 is a multicast address"},
		{"::ffff:192.0.2.1/128", "prefix ::ffff:192.0.2.1/128" + global + "::ffff:192.0.2.1 is an IPv4-mapped address"},
		{"192.0.2.0/24", "prefix 192.0.2.0/24" + global + "192.0.2.0 is an IPv4 address"},
		{"::1/128", "prefix ::1/128" + global + "::1 is a loopback address"},
		{"::/0", "prefix ::/0" + global + ":: is the unspecified address"},
		{"", "prefix is missing or not a prefix: it must be an IPv6 prefix such as 2001:db8:12:3400::/56"},
	} {
		prefix, _ := netip.ParsePrefix(test.prefix)
		_, err := softwire.Compute([]softwire.Rule{far, exampleRule()}, prefix, softwire.RFC7597)
		wantError(t, err, test.want)
	}
	prefix := netip.MustParsePrefix("2001:db8:12:3400::/56")
	_, err := softwire.Compute(nil, prefix, softwire.RFC7597)
	wantError(t, err, "no rule is given that could cover 2001:db8:12:3400::/56")
	_, err = softwire.Compute([]softwire.Rule{exampleRule()}, prefix, 7)
	wantError(t, err, `interface identifier "InterfaceID(7)" is unknown: it must be "map-03" or "rfc7597"`)

	wide := exampleRule()
	wide.IPv4, wide.EABits = netip.MustParsePrefix("112.0.0.0/4"), 16
	_, err = softwire.Compute([]softwire.Rule{wide}, netip.MustParsePrefix("2001:db8:f0:100::/56"), softwire.RFC7597)
	wantError(t, err, "the EA bits of 2001:db8:f0:100::/56 make ipv4 127.0.16.0/20, which is in 127.0.0.0/8 (loopback): the rule or the prefix is wrong")
	wide.IPv6, wide.IPv4, wide.EABits = netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("0.0.0.0/0"), 32
	for prefix, block := range map[string]string{
		"2001:db8:0:1::/64":         "0.0.0.1/32, which is in 0.0.0.0/8 (this network)",
		"2001:db8:7fff:ffff::/64":   "127.255.255.255/32, which is in 127.0.0.0/8 (loopback)",
		"2001:db8:a9fe:101::/64":    "169.254.1.1/32, which is in 169.254.0.0/16 (link-local)",
		"2001:db8:e000:1::/64":      "224.0.0.1/32, which is in 224.0.0.0/4 (multicast)",
		"2001:db8:f000::/64":        "240.0.0.0/32, which is in 240.0.0.0/4 (reserved, and broadcast)",
		"2001:db8:ffff:ffff::1/128": "255.255.255.255/32, which is in 240.0.0.0/4 (reserved, and broadcast)",
	} {
		line, _ := netip.MustParsePrefix(prefix).Addr().Prefix(64)
		_, err := softwire.Compute([]softwire.Rule{wide}, netip.MustParsePrefix(prefix), softwire.RFC7597)
		wantError(t, err, "the EA bits of "+line.String()+" make ipv4 "+block+": the rule or the prefix is wrong")
	}
	wide.EABits = 48
	wide.PSIDOffset = 0
	_, err = softwire.Compute([]softwire.Rule{wide}, netip.MustParsePrefix("2001:db8:c000:212::/80"), softwire.RFC7597)
	wantError(t, err, "the EA bits of 2001:db8:c000:212::/80 make psid 0 of 16 bits, which at psid-offset 0 has only port 0, and that is reserved: the rule or the prefix is wrong")

	translated := exampleRule()
	translated.BR, translated.DMR = netip.Addr{}, netip.MustParsePrefix("2001:db8:12:3400::/56")
	_, err = softwire.Compute([]softwire.Rule{translated}, prefix, softwire.RFC7597)
	wantError(t, err, "ce 2001:db8:12:3400:0:c000:212:34 is in dmr 2001:db8:12:3400::/56: the dmr must not have addresses of customers in it")

	onePort := exampleOneLineRule()
	onePort.PSIDOffset, onePort.PSID = 0, &softwire.PSID{Len: 16}
	_, err = softwire.Compute([]softwire.Rule{onePort}, prefix, softwire.RFC7597)
	wantError(t, err, "psid 0 of 16 bits at psid-offset 0 has only port 0, which is reserved: one of the three is wrong")
}
