package softwire_test

import (
	"net/netip"
	"strings"
	"testing"

	"mape-netplan/reconcile/softwire"
)

func exampleFixed() softwire.Fixed {
	return softwire.Fixed{BR: netip.MustParseAddr("2001:db8:ffff::65"), IPv4: netip.MustParsePrefix("203.0.113.8/29")}
}

func TestIPIPVectors(t *testing.T) {
	v := readModeVectors(t)
	if len(v.IPIP) != 5 {
		t.Errorf("%d vectors", len(v.IPIP))
	}
	for _, v := range v.IPIP {
		f := softwire.Fixed{BR: netip.MustParseAddr("2001:db8:ffff::65"), IPv4: netip.MustParsePrefix("192.0.2.18/32")}
		if text := v.Input.IPv4; text != "" {
			if !strings.Contains(text, "/") {
				text += "/32"
			}
			f.IPv4 = netip.MustParsePrefix(text)
		}
		if id := v.Input.InterfaceID; id != "" {
			f.InterfaceID = netip.MustParseAddr("::" + strings.TrimPrefix(id, "::"))
		}
		s, err := f.Softwire(netip.MustParsePrefix(v.Input.Prefix))
		if err != nil || s.CE().String() != v.Output.CE {
			t.Errorf("%s: %v, %v", v.Provider, s.CE(), err)
		}
	}
}

func TestFixed(t *testing.T) {
	t.Parallel()
	a := netip.MustParseAddr
	for _, test := range []struct {
		name, prefix string
		change       func(*softwire.Fixed)
		ce, inner    string
		nat          bool
	}{
		{"a block, translated", "2001:db8:1:200::/56", func(*softwire.Fixed) {}, "2001:db8:1:200:cb:71:800:0", "203.0.113.8/32", true},
		{"a block, routed", "2001:db8:1:200::/56", func(f *softwire.Fixed) { f.Routed = true }, "2001:db8:1:200:cb:71:800:0", "203.0.113.8/29", false},
		{"an address in a block", "2001:db8:1:200::/56", func(f *softwire.Fixed) { f.IPv4 = netip.MustParsePrefix("203.0.113.9/29") }, "2001:db8:1:200:cb:71:800:0", "203.0.113.9/32", true},
		{"by an address of the line", "2001:db8:1:2f1::8/128", func(f *softwire.Fixed) { f.InterfaceID = a("::feed") }, "2001:db8:1:2f1::feed", "203.0.113.8/32", true},
		{"a whole address", "2001:db8:1:2f1::/64", func(f *softwire.Fixed) { f.CE = a("2001:db8:1:200::5") }, "2001:db8:1:200::5", "203.0.113.8/32", true},
		{"a whole address of no known line", "", func(f *softwire.Fixed) { f.CE = a("2001:db8:1:200::5") }, "2001:db8:1:200::5", "203.0.113.8/32", true},
	} {
		f := exampleFixed()
		test.change(&f)
		prefix, _ := netip.ParsePrefix(test.prefix)
		s, err := f.Softwire(prefix)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if s.Mode != softwire.IPIP || s.CE() != a(test.ce) || s.BR() != f.BR || s.Inner.String() != test.inner || s.NAT != test.nat || s.Ports.Count() != 65535 || len(s.Warnings) > 0 {
			t.Errorf("%s: %+v", test.name, s)
		}
	}
}

func TestFixedRefused(t *testing.T) {
	t.Parallel()
	a, p := netip.MustParseAddr, netip.MustParsePrefix
	const id = " must be the lower half of an IPv6 address, such as ::feed or ::c0:2:12:0"
	for _, test := range []struct {
		change func(*softwire.Fixed)
		prefix netip.Prefix
		want   string
	}{
		{func(f *softwire.Fixed) { f.BR = netip.Addr{} }, p("2001:db8:1:200::/56"), "br is missing: it must be an IPv6 address such as 2001:db8:ffff::1"},
		{func(f *softwire.Fixed) { f.IPv4 = p("224.0.0.0/29") }, p("2001:db8:1:200::/56"),
			"ipv4 224.0.0.0/29 is in 224.0.0.0/4 (multicast): it must be a unicast IPv4 prefix such as 192.0.2.0/24, or an address"},
		{func(f *softwire.Fixed) { f.IPv4, f.Routed = p("126.0.0.0/7"), true }, p("2001:db8:1:200::/56"),
			"ipv4 126.0.0.0/7 is partly in 127.0.0.0/8 (loopback): it must be a unicast IPv4 prefix such as 192.0.2.0/24, or an address"},
		{func(f *softwire.Fixed) { f.InterfaceID = a("2001:db8::feed") }, p("2001:db8:1:200::/56"), "interface-id 2001:db8::feed" + id},
		{func(f *softwire.Fixed) { f.InterfaceID = a("::") }, p("2001:db8:1:200::/56"), "interface-id ::" + id},
		{func(f *softwire.Fixed) { f.CE, f.InterfaceID = a("2001:db8:1:200::5"), a("::feed") }, p("2001:db8:1:200::/56"),
			"interface-id ::feed conflicts with ce 2001:db8:1:200::5, which is a whole address"},
		{func(f *softwire.Fixed) { f.CE = a("2001:db8:1:300::5") }, p("2001:db8:1:200::/56"),
			"ce 2001:db8:1:300::5 is outside the prefix 2001:db8:1:200::/56: packets to it do not arrive on this line; use the values for 2001:db8:1:200::/56"},
		{func(f *softwire.Fixed) { f.BR = a("2001:db8:1:200:cb:71:800:0") }, p("2001:db8:1:200::/56"),
			"both ends are 2001:db8:1:200:cb:71:800:0: the far end must be the provider's, not this machine"},
		{func(*softwire.Fixed) {}, netip.Prefix{}, "prefix is missing or not a prefix: it must be an IPv6 prefix such as 2001:db8:12:3400::/56"},
	} {
		f := exampleFixed()
		test.change(&f)
		_, err := f.Softwire(test.prefix)
		wantError(t, err, test.want)
	}
}

func TestDSLiteVector(t *testing.T) {
	v := readModeVectors(t).DSLite[0]
	s, err := softwire.Lite(netip.MustParseAddr("2001:db8:1:2::5"), netip.MustParseAddr(v.Input.AFTR[0]))
	if err != nil || s.Mode != softwire.DSLite || s.Inner.String() != v.Output.Address || s.BR().String() != v.Output.Remote || s.NAT != v.Output.NAT {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestLiteRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ ce, aftr, want string }{
		{"fe80::1", "2001:db8:ffff::1", "ce fe80::1 is a link-local address: it must be a unicast IPv6 address that the line routes, such as 2001:db8:ffff::1"},
		{"2001:db8::1", "192.0.2.1", "aftr 192.0.2.1 is an IPv4 address: it must be a unicast IPv6 address that the line routes, such as 2001:db8:ffff::1"},
		{"2001:db8::1", "2001:db8::1", "both ends are 2001:db8::1: the far end must be the provider's, not this machine"},
	} {
		_, err := softwire.Lite(netip.MustParseAddr(test.ce), netip.MustParseAddr(test.aftr))
		wantError(t, err, test.want)
	}
}
