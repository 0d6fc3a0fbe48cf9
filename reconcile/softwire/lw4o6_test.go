package softwire_test

import (
	"net/netip"
	"testing"

	"mape-netplan/reconcile/softwire"
)

func exampleBinding() softwire.Binding {
	return softwire.Binding{LwAFTR: netip.MustParseAddr("2001:db8:ffff::2"), IPv4: netip.MustParseAddr("192.0.2.18"),
		Ports: softwire.Ports{PSID: 0x34, PSIDLen: 8}, Prefix: netip.MustParsePrefix("2001:db8:12:3400::/56")}
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func TestLW4o6Vectors(t *testing.T) {
	v := readModeVectors(t)
	if len(v.LW4o6) != 4 {
		t.Errorf("%d vectors", len(v.LW4o6))
	}
	for _, v := range v.LW4o6 {
		in := v.Input
		b := softwire.Binding{LwAFTR: netip.MustParseAddr(in.LwAFTR), IPv4: netip.MustParseAddr(in.IPv4), Prefix: netip.MustParsePrefix(in.Bind),
			Ports: softwire.Ports{PSID: in.PSID, PSIDLen: in.PSIDLen, PSIDOffset: in.Offset}}
		s, err := b.Softwire()
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		v.check(t, s)
		if s.Mode != softwire.LW4o6 || !s.NAT || s.Carrier != softwire.Carrier(softwire.Tunnel{Local: s.CE(), Remote: b.LwAFTR}) {
			t.Errorf("%s: %+v", v.Name, s)
		}
		if warns := len(s.Warnings) > 0; warns != (v.Name == "psid0") {
			t.Errorf("%s: %q", v.Name, s.WarningTexts())
		}
	}
}

// TestBindingPrefix: the longest match of the binding's prefix with those of the line forms the subnet (RFC 7596 section
// 5.1). The interface identifier begins at bit 64, or after a longer binding prefix.
func TestBindingPrefix(t *testing.T) {
	t.Parallel()
	const same = ":0:c000:212:34"
	for _, test := range []struct {
		name, bind string
		active     []string
		ce         string
	}{
		{"no line", "2001:db8:12:3400::/56", nil, "2001:db8:12:3400" + same},
		{"the line's own", "2001:db8:12:3400::/56", []string{"2001:db8:12:3400::/56"}, "2001:db8:12:3400" + same},
		{"bits after the length", "2001:db8:12:34ff::/56", nil, "2001:db8:12:3400" + same},
		{"shorter", "2001:db8::/32", []string{"2001:db8:12:3400::/56"}, "2001:db8:12:3400" + same},
		{"shorter than an address", "2001:db8:12:3400::/56", []string{"2001:db8:12:34f1:be24::8/128"}, "2001:db8:12:34f1" + same},
		{"longer", "2001:db8:12:3405::/64", []string{"2001:db8:12:3400::/56"}, "2001:db8:12:3405" + same},
		{"longer than 64", "2001:db8:12:3405:8000::/68", []string{"2001:db8:12:3405::/64"}, "2001:db8:12:3405:8000:c000:212:34"},
		{"an address", "2001:db8:12:3405::9/128", []string{"2001:db8:12:3405::/64"}, "2001:db8:12:3405::9"},
		{"the longest of several", "2001:db8:12:3400::/56", []string{"fd00::/64", "2001:db8::/32", "2001:db8:12:3402::/64", "2001:db8:13::/48"}, "2001:db8:12:3402" + same},
		{"the first of equals", "2001:db8::/32", []string{"2001:db8:99::/64", "2001:db8:12:3400::/56", "2001:db8:13::/48"}, "2001:db8:99:0" + same},
		{"any", "::/0", []string{"2001:db8:12:3400::/56"}, "2001:db8:12:3400" + same},
	} {
		b := exampleBinding()
		b.Prefix = netip.MustParsePrefix(test.bind)
		s, err := b.Softwire(prefixes(test.active...)...)
		if err != nil || s.CE() != netip.MustParseAddr(test.ce) {
			t.Errorf("%s: %v, %v, want %s", test.name, s.CE(), err, test.ce)
		}
	}
}

func TestBindingRefused(t *testing.T) {
	t.Parallel()
	line := prefixes("2001:db8:12:3400::/56")
	for _, test := range []struct {
		change func(*softwire.Binding)
		want   string
	}{
		{func(b *softwire.Binding) { b.Prefix = netip.MustParsePrefix("2001:db8:13::/48") },
			"prefix 2001:db8:13::/48 of the binding is not on this line, which has [2001:db8:12:3400::/56]: the values are those of another line"},
		{func(b *softwire.Binding) { b.Prefix = netip.MustParsePrefix("fe80::/64") },
			"prefix fe80::/64 must be a global IPv6 prefix of the provider, such as 2001:db8:12:3400::/56: fe80:: is a link-local address"},
		{func(b *softwire.Binding) { b.LwAFTR = netip.Addr{} }, "lwaftr is missing: it must be an IPv6 address such as 2001:db8:ffff::1"},
		{func(b *softwire.Binding) { b.LwAFTR = netip.MustParseAddr("2001:db8:12:3400:0:c000:212:34") },
			"both ends are 2001:db8:12:3400:0:c000:212:34: the far end must be the provider's, not this machine"},
		{func(b *softwire.Binding) { b.IPv4 = netip.Addr{} }, "ipv4 is missing or not a prefix: it must be an IPv4 prefix such as 192.0.2.0/24, or an address"},
		{func(b *softwire.Binding) { b.IPv4 = netip.MustParseAddr("255.255.255.255") },
			"ipv4 255.255.255.255/32 is in 240.0.0.0/4 (reserved, and broadcast): it must be a unicast IPv4 prefix such as 192.0.2.0/24, or an address"},
		{func(b *softwire.Binding) { b.Ports.PSID = 0x100 }, "psid 0x100 does not fit psid-len 8: it must be at most 0xff, right-aligned"},
		{func(b *softwire.Binding) { b.Ports.PSIDLen = 17 }, "psid-len 17 is outside 0 to 16"},
		{func(b *softwire.Binding) { b.Ports.PSIDOffset = 9 }, "psid-offset 9 and psid-len 8 make 17, and a port has 16 bits: psid-offset must be at most 8, or psid-len at most 7"},
		{func(b *softwire.Binding) { b.Ports = softwire.Ports{PSIDLen: 16} }, "psid 0 of 16 bits at psid-offset 0 has only port 0, which is reserved: one of the three is wrong"},
	} {
		b := exampleBinding()
		test.change(&b)
		_, err := b.Softwire(line...)
		wantError(t, err, test.want)
	}
	b := exampleBinding()
	b.Prefix = netip.Prefix{}
	if _, err := b.Softwire(); err == nil {
		t.Error("a binding without a prefix has a CE address without a line")
	}
}

// TestSystemPorts: a set below 1024 only leaves NAT nothing, one that reaches further has the rest (RFC 7596 section 5.1).
func TestSystemPorts(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]string{
		5: "",
		6: "the ports of psid 0 end at 1023, and NAT uses none below 1024: no connection can be made",
		8: "the ports of psid 0 end at 255, and NAT uses none below 1024: no connection can be made",
	} {
		b := exampleBinding()
		b.Ports = softwire.Ports{PSIDLen: length}
		s, err := b.Softwire()
		if err != nil {
			t.Fatal(err)
		}
		wantWarning(t, s, want)
	}
}
