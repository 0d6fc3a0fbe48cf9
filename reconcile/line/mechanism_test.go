package line_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/provider/s46"
)

// meant is what a section means on a machine, in words.
func meant(t *testing.T, section string, f facts.Facts) (string, error) {
	l, err := line.Find(gatewaytest.SectionOf(t, section), f)
	s := l.Softwire
	text := strings.Join(strings.Fields(fmt.Sprint(l.Provider, " ", l.FarEnd)), " ")
	if s.Known() {
		text = strings.TrimSpace(fmt.Sprint(s.Mode, " ", s.CE(), " ", s.Carrier.FarEnd(), " ", s.Inner, " ", s.Ports.Count(), " ", s.NAT, " ", text))
	}
	return text, err
}

const (
	onLine  = "2400:db8:12:3400::1/64"
	section = "lw4o6: {lwaftr: lw.example.jp, ipv4: 192.0.2.18, psid: 52, psid-len: 8, prefix: \"2400:db8:12:3400::/56\"}"
	bound   = "lw4o6 2400:db8:12:3400:0:c000:212:34 2001:db8::a/128 192.0.2.18/32 256 true"
)

// TestMechanisms is what sections with a mechanism of their own mean on a line.
func TestMechanisms(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ section, address, want, fails string }{
		{"{ds-lite: {aftr: gw.example.jp}}", onLine, "ds-lite 2400:db8:12:3400::1 2001:db8::a/128 192.0.0.2/29 65535 false gw.example.jp", ""},
		{`{ds-lite: {aftr: "2001:db8::b"}}`, onLine, "ds-lite 2400:db8:12:3400::1 2001:db8::b/128 192.0.0.2/29 65535 false", ""},
		{`{ds-lite: {aftr: "2001:db8::b"}, prefix: "2400:db8:12:3400::/56"}`, onLine, "ds-lite 2400:db8:12:3400::1 2001:db8::b/128 192.0.0.2/29 65535 false", ""},
		{"{ds-lite: {aftr: other.example.jp}}", onLine, "other.example.jp", "eth1 has 2400:db8:12:3400::1/64: the line's resolvers have not been asked for other.example.jp yet: apply, install or watch asks them"},
		{"{" + section + "}", onLine, bound + " lw.example.jp", ""},
		{"{" + section + "}", "2400:db8:12:3500::1/64", "lw.example.jp", "eth1 has 2400:db8:12:3500::1/64: prefix 2400:db8:12:3400::/56 of the binding is not on this line, which has [2400:db8:12:3500::/64]: the values are those of another line"},
		{`{ipip: {ipv4: 203.0.113.8/29, br: "2001:db8::b"}}`, onLine, "ipip 2400:db8:12:3400:cb:71:800:0 2001:db8::b/128 203.0.113.8/32 65535 true", ""},
		{`{ipip: {ipv4: 203.0.113.8/29, br: br.example.jp, interface-id: "::feed", block: route}}`, onLine, "ipip 2400:db8:12:3400::feed 2001:db8::a/128 203.0.113.8/29 65535 false br.example.jp", ""},
		{`{ipip: {ipv4: 203.0.113.8, br: "2001:db8::b", ce: "2400:db8:12:3400::c"}}`, "fe80::1/64", "ipip 2400:db8:12:3400::c 2001:db8::b/128 203.0.113.8/32 65535 true", ""},
		{`{dmr: "2001:db8:ffff::/64", rules: [{ipv6: "2400:db8::/40", ipv4: 192.0.2.0/24, ea-bits: 16}]}`, onLine, "map-t 2400:db8:12:3400:0:c000:212:34 2001:db8:ffff::/64 192.0.2.18/32 252 true", ""},

		{"{}", "2409:10:1:200::5/64", "ds-lite 2409:10:1:200::5 2404:8e00::feed:100/128 192.0.0.2/29 65535 false transix gw.transix.jp", ""},
		{"{provider: transix}", "2409:10:1:200::5/64", "ds-lite 2409:10:1:200::5 2404:8e00::feed:100/128 192.0.0.2/29 65535 false transix gw.transix.jp", ""},
		{"{provider: transix}", onLine, "ds-lite 2400:db8:12:3400::1 2404:8e00::feed:100/128 192.0.0.2/29 65535 false transix gw.transix.jp", ""},
		{"{}", "2001:f60:1:200::5/64", "dgw.xpass.jp", "eth1 has 2001:f60:1:200::5/64: クロスパス, which is DS-Lite: no IPv6 address"},
		{"{}", "2405:6580:1:200::5/64", "dslite.v6connect.net", "eth1 has 2405:6580:1:200::5/64: v6コネクト, which is DS-Lite: the line's resolvers have not been asked for dslite.v6connect.net yet: apply, install or watch asks them"},
		{"{provider: v6connect}", onLine, "dslite.v6connect.net", "eth1 has 2400:db8:12:3400::1/64: v6コネクト, which is DS-Lite: the line's resolvers have not been asked for dslite.v6connect.net yet: apply, install or watch asks them"},
	} {
		f := gatewaytest.OnLineFacts(test.address)
		f.FarEnds = discovery.Names{"gw.example.jp": {Address: netip.MustParseAddr("2001:db8::a")}, "lw.example.jp": {Address: netip.MustParseAddr("2001:db8::a")},
			"br.example.jp": {Address: netip.MustParseAddr("2001:db8::a")}, "gw.transix.jp": {Address: netip.MustParseAddr("2404:8e00::feed:100")},
			"dgw.xpass.jp": {Problem: "no IPv6 address"}}
		got, err := meant(t, test.section, f)
		if got != test.want || (err == nil) != (test.fails == "") || err != nil && (err.Error() != test.fails || !errors.Is(err, line.ErrNotYet)) {
			t.Errorf("%s on %s:\n  %s, %v\nwant\n  %s, %s", test.section, test.address, got, err, test.want, test.fails)
		}
	}
	for section, want := range map[string]string{
		`{lw4o6: {lwaftr: lw.example.jp, ipv4: 192.0.2.18, psid-offset: 9, psid: 1, psid-len: 8}}`:       "psid-offset 9 and psid-len 8 make 17",
		`{dmr: "2001:db8:ffff::/65", rules: [{ipv6: "2400:db8::/40", ipv4: 192.0.2.0/24, ea-bits: 16}]}`: "dmr 2001:db8:ffff::/65 must have",
	} {
		if err := line.Check(gatewaytest.SectionOf(t, section)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", section, err, want)
		}
	}
}

// TestB4 is which of the WAN's addresses is this end of a DS-Lite tunnel: a stable one, which stays.
func TestB4(t *testing.T) {
	t.Parallel()
	address := func(text string, origin kernel.Origin, change ...func(*kernel.Inet)) kernel.Inet {
		i := kernel.Inet{Prefix: netip.MustParsePrefix(text + "/64"), Origin: origin, Announced: 1}
		for _, c := range change {
			c(&i)
		}
		return i
	}
	const net = "2400:db8:12:3400::"
	temporary := address(net+"a", kernel.OriginRA, func(i *kernel.Inet) { i.Temporary = true })
	old := address(net+"b", kernel.OriginRA, func(i *kernel.Inet) { i.Deprecated = true })
	tentative := address(net+"c", kernel.OriginRA, func(i *kernel.Inet) { i.Tentative = true })
	failed := address(net+"d", kernel.OriginRA, func(i *kernel.Inet) { i.Failed = true })
	static, stable, other := address(net+"1", kernel.OriginStatic), address(net+"5", kernel.OriginRA), address(net+"6", kernel.OriginRA)
	for _, test := range []struct {
		name      string
		addresses []kernel.Inet
		had, want string
	}{
		{"the one by router advertisements", []kernel.Inet{temporary, old, tentative, failed, static, other, stable}, "", net + "5"},
		{"in any order", []kernel.Inet{stable, other, static, failed, tentative, old, temporary}, "", net + "5"},
		{"the one that it had", []kernel.Inet{stable, other, static}, net + "6", net + "6"},
		{"not when that is deprecated", []kernel.Inet{stable, old}, net + "b", net + "5"},
		{"another one", []kernel.Inet{temporary, static}, "", net + "1"},
		{"none", []kernel.Inet{tentative, failed}, "", "eth1 has no stable address"},
	} {
		f := gatewaytest.OnLineFacts(onLine)
		wan := slices.IndexFunc(f.Links, func(l kernel.Link) bool { return l.Name == "eth1" })
		f.Links[wan].Addresses = test.addresses
		if test.had != "" {
			f.Owned.Memory = &facts.Memory{CE: netip.MustParseAddr(test.had)}
		}
		l, err := line.Find(gatewaytest.SectionOf(t, `{ds-lite: {aftr: "2001:db8::b"}}`), f)
		got := l.Softwire.CE().String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, test.want) {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// TestB4Delegated: a delegation goes before an advertised address, except for a fixed address, whose interface identifier
// the contract gives.
func TestB4Delegated(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ section, address, want string }{
		{`{ds-lite: {aftr: "2001:db8::b"}}`, onLine, "2400:db9:1:200:c0:0:200:0"},
		{`{ds-lite: {aftr: "2001:db8::b"}}`, "2400:db9:1:203::5/64", "2400:db9:1:203::5"},
		{`{ds-lite: {aftr: "2001:db8::b"}, wan-prefix: ra}`, onLine, "2400:db8:12:3400::1"},
		{`{ipip: {ipv4: 203.0.113.8, br: "2001:db8::b", interface-id: "::feed"}}`, onLine, "2400:db8:12:3400::feed"},
		{`{ipip: {ipv4: 203.0.113.8, br: "2001:db8::b", interface-id: "::feed"}, wan-prefix: pd}`, onLine, "2400:db9:1:200::feed"},
		{`{lw4o6: {lwaftr: "2001:db8::b", ipv4: 192.0.2.18, prefix: "2400:db8::/32"}}`, onLine, "2400:db8:12:3400:0:c000:212:0"},
		{`{lw4o6: {lwaftr: "2001:db8::b", ipv4: 192.0.2.18}}`, onLine, "2400:db9:1:200:0:c000:212:0"},
	} {
		f := gatewaytest.OnLineFacts(test.address)
		f.Delegations = []networkd.Delegation{{Prefix: netip.MustParsePrefix("2400:db9:1:200::/56"), Link: "eth1"}}
		l, err := line.Find(gatewaytest.SectionOf(t, test.section), f)
		if got := l.Softwire.CE().String(); err != nil || got != test.want {
			t.Errorf("%s: %s, %v; want %s", test.section, got, err, test.want)
		}
	}
}

func options(t *testing.T, text string) *s46.Reply {
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s46.ParseReply(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const inDHCPv6 = "0060002c" + "005a001020010db8000000000000000000000002" + "005c0014c00002123824000db8001234005d000400083400"

// TestOffers is which of the line's mechanisms is taken: the first one that fits its prefix.
func TestOffers(t *testing.T) {
	t.Parallel()
	const (
		dsLite = `"dslite": {"aftr": "gw.example.jp"}`
		lw4o6  = `"lw4o6": {"lwaftr": "lw.example.jp", "ipv6": "2400:db8:12:3400::/56", "ipv4": "192.0.2.18", "psid": 52, "psid_length": 8}`
		mapT   = `"map_t": {"dmr": "2001:db8:ffff::/64", "rules": [{"ipv6": "2400:db8::/40", "ipv4": "192.0.2.0/24", "ea_length": 16, "psid_offset": 6}]}`
		mapE   = `"map_e": {"br": "2001:db8:ffff::1", "rules": [{"ipv6": "2400:db9::/40", "ipv4": "192.0.2.0/24", "ea_length": 16, "psid_offset": 6}]}`
		ipip   = `"ipip": [{"ipv6_local": "2400:db9::1", "ipv6_remote": "2001:db8::b", "ipv4": "203.0.113.9/29"}, {"ipv6_local": "2400:db8:12:3400::9", "ipv6_remote": "2001:db8::b", "ipv4": "203.0.113.9/29"}]`
	)
	reply := func(order string, methods ...string) discovery.Offer {
		return discovery.Offer{Reply: replyOf(t, `{"service_name": "S", "order": [`+order+`], `+strings.Join(append(methods, dsLite, lw4o6, mapT, mapE, ipip), ", ")+"}")}
	}
	for _, test := range []struct {
		name, section string
		offer         discovery.Offer
		want          string
	}{
		{"ds-lite", "{provider: discover}", reply(`"dslite", "lw4o6"`), "ds-lite 2400:db8:12:3400::1 2001:db8::a/128 192.0.0.2/29 65535 false discover gw.example.jp"},
		{"by itself", "{}", reply(`"dslite"`), "ds-lite 2400:db8:12:3400::1 2001:db8::a/128 192.0.0.2/29 65535 false discover gw.example.jp"},
		{"lw4o6, whose far end is not known", "{provider: discover}", reply(`"464xlat", "lw4o6", "dslite"`), "lw.example.jp"},
		{"map-t", "{provider: discover}", reply(`"map_t"`), "map-t 2400:db8:12:3400:0:c000:212:34 2001:db8:ffff::/64 192.0.2.18/32 252 true discover"},
		{"the first is another line's", "{provider: discover}", reply(`"map_e", "map_t"`), "map-t 2400:db8:12:3400:0:c000:212:34 2001:db8:ffff::/64 192.0.2.18/32 252 true discover"},
		{"the second address", "{provider: discover}", reply(`"ipip"`), "ipip 2400:db8:12:3400::9 2001:db8::b/128 203.0.113.9/32 65535 true discover"},
		{"nothing that fits", "{provider: discover}", reply(`"map_e"`), ""},
		{"DHCPv6", "{provider: dhcpv6}", discovery.Offer{DHCPv6: options(t, inDHCPv6)}, "lw4o6 2400:db8:12:3400:0:c000:212:34 2001:db8::2/128 192.0.2.18/32 256 true dhcpv6"},
		{"DHCPv6, of a section that asks by HB46PP", "{provider: discover}", discovery.Offer{DHCPv6: options(t, inDHCPv6)}, ""},
		{"HB46PP, of a section that asks by DHCPv6", "{provider: dhcpv6}", reply(`"dslite"`), ""},
	} {
		f := gatewaytest.OnLineFacts(onLine)
		f.FarEnds = discovery.Names{"gw.example.jp": {Address: netip.MustParseAddr("2001:db8::a")}}
		f.Discovered = &discovery.Discovery{Offer: test.offer}
		if test.offer.DHCPv6 != nil {
			f.Discovered.Source = discovery.DHCPv6
		}
		if got, err := meant(t, test.section, f); got != test.want || (err == nil) != strings.Contains(got, " ") {
			t.Errorf("%s: %s, %v\nwant %s", test.name, got, err, test.want)
		}
	}
}

// TestIgnored warns of what a server gives that cannot be used, beside what can.
func TestIgnored(t *testing.T) {
	t.Parallel()
	f := gatewaytest.OnLineFacts(onLine)
	f.Discovered = &discovery.Discovery{Source: discovery.DHCPv6, Offer: discovery.Offer{DHCPv6: options(t, "005e0000"+inDHCPv6)}}
	l, err := line.Find(gatewaytest.SectionOf(t, "{provider: dhcpv6}"), f)
	want := "the line's DHCPv6 server gives what is ignored: MAP-E container (94): it has no border relay (90)"
	if got := strings.Join(l.Softwire.WarningTexts(), "; "); err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	d := (*discovery.Discovery)(nil).After(discovery.Offer{DHCPv6: options(t, "005e0000")}, time.Hour, nil, evening, func() float64 { return 0 })
	if want := "the line's DHCPv6 server gives nothing that can be used: MAP-E container (94): it has no border relay (90)"; d.Problem != want || !d.Withdrawn {
		t.Errorf("%+v, want %s", d, want)
	}
}

// TestUnanswered is a DHCPv6 server that does not answer: what it gave holds, and it is asked at growing intervals.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	half := func() float64 { return 0.5 }
	var d *discovery.Discovery
	now, silence := evening, discovery.Unanswered{Err: errors.New("silence")}
	for i, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
		d = d.After(discovery.Offer{}, 0, silence, now, half)
		if d.Next.Sub(now) != want || d.Problem != "silence" || d.Offers() {
			t.Errorf("%d: %+v in %v, want %v", i, d, d.Next.Sub(now), want)
		}
		now = d.Next
	}
	reply := options(t, "00400005016101620000200004000003e8")
	d = d.After(discovery.Offer{DHCPv6: reply}, reply.TTL(), nil, now, half)
	if d.Next.Sub(now) != 1000*time.Second || d.Problem != "" || !d.Offers() {
		t.Errorf("an answer: %+v", d)
	}
	now = d.Next
	if d = d.After(discovery.Offer{}, 0, silence, now, half); d.Next.Sub(now) != time.Minute || !d.Offers() || d.Withdrawn {
		t.Errorf("silence after it: %+v", d)
	}
	empty := options(t, "")
	if d = d.After(discovery.Offer{DHCPv6: empty}, empty.TTL(), nil, now, half); !d.Withdrawn || !d.Lost || d.Next.Sub(now) != 24*time.Hour || d.Problem != "the line's DHCPv6 server gives no softwire (options 64, 94, 95 and 96)" {
		t.Errorf("nothing any more: %+v", d)
	}
}
