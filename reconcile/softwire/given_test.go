package softwire_test

import (
	"net/netip"
	"testing"

	"mape-netplan/reconcile/softwire"
)

const (
	givenCE = "2001:db8:12c0:f200:ee:86ff:fe0:3200" // no MAP layout: a calculator's or the provider's word
	givenBR = "2001:db8:a120::9"
)

func given(ce, br, ipv4 string, psid, length, offset int) (softwire.Softwire, error) {
	c, _ := netip.ParseAddr(ce)
	b, _ := netip.ParseAddr(br)
	p, _ := netip.ParsePrefix(ipv4)
	return softwire.Given(c, b, p, uint16(psid), length, offset)
}

func TestGiven(t *testing.T) {
	s, err := given(givenCE, givenBR, "192.0.2.18/32", 0x34, 6, 6)
	if err != nil {
		t.Fatal(err)
	}
	if s.CE().String() != givenCE || s.BR().String() != givenBR || s.Ports.Count() != 1008 || !s.Ports.Has(1024+0x34*16) {
		t.Errorf("%+v", s)
	}
	if s.Origin.Rule != nil || s.Origin.EndUserPrefix.IsValid() {
		t.Errorf("derived values in %+v", s)
	}
	for _, ipv4 := range []string{"192.0.2.18/32", "192.0.2.16/29"} {
		if s, err := given("fd00::2", "fd00::1", ipv4, 0, 0, 0); err != nil || s.Ports.Count() != 65535 {
			t.Errorf("%s of a test bed: %d ports, %v", ipv4, s.Ports.Count(), err)
		}
	}
}

func TestGivenRefuses(t *testing.T) {
	const endpoint = ": it must be a unicast IPv6 address that the line routes, such as 2001:db8:ffff::1"
	for _, test := range []struct {
		ce, br, ipv4         string
		psid, length, offset int
		want                 string
	}{
		{"", givenBR, "192.0.2.18/32", 0, 0, 0, "ce is missing: it must be an IPv6 address such as 2001:db8:ffff::1"},
		{"fe80::2%eth1", givenBR, "192.0.2.18/32", 0, 0, 0, "ce fe80::2%eth1 is a link-local address" + endpoint},
		{"2001:db8::2%eth1", givenBR, "192.0.2.18/32", 0, 0, 0, "ce 2001:db8::2%eth1 is bound to one interface by its zone" + endpoint},
		{givenCE, "ff02::1", "192.0.2.18/32", 0, 0, 0, "br ff02::1 is a multicast address" + endpoint},
		{givenCE, "192.0.2.1", "192.0.2.18/32", 0, 0, 0, "br 192.0.2.1 is an IPv4 address" + endpoint},
		{givenCE, givenCE, "192.0.2.18/32", 0, 0, 0, "both ends are " + givenCE + ": the far end must be the provider's, not this machine"},
		{givenCE, givenBR, "", 0, 0, 0, "ipv4 is missing or not a prefix: it must be an IPv4 prefix such as 192.0.2.0/24, or an address"},
		{givenCE, givenBR, "192.0.2.18/29", 0, 0, 0, "ipv4 192.0.2.18/29 has bits set after its first 29: write 192.0.2.18 for one address or 192.0.2.16/29 for the prefix"},
		{givenCE, givenBR, "192.0.2.16/29", 1, 6, 6, "psid-len 6 shares one address, but ipv4 192.0.2.16/29 is a prefix: write one address, or leave out psid, psid-len and psid-offset"},
		{givenCE, givenBR, "192.0.2.18/32", 0x40, 6, 6, "psid 0x40 does not fit psid-len 6: it must be at most 0x3f, right-aligned"},
		{givenCE, givenBR, "192.0.2.18/32", 0x34, 0, 6, "psid 0x34 has psid-len 0, which stands for an address that is not shared: write the number of its bits, or leave both out"},
		{givenCE, givenBR, "192.0.2.18/32", 1, 11, 6, "psid-offset 6 and psid-len 11 make 17, and a port has 16 bits: psid-offset must be at most 5, or psid-len at most 10"},
		{givenCE, givenBR, "192.0.2.18/32", 0, 16, 0, "psid 0 of 16 bits at psid-offset 0 has only port 0, which is reserved: one of the three is wrong"},
		{"::", "::1", "127.0.0.1/32", 0, -1, 0, "ce :: is the unspecified address" + endpoint + "\nbr ::1 is a loopback address" + endpoint +
			"\nipv4 127.0.0.1/32 is in 127.0.0.0/8 (loopback): it must be a unicast IPv4 prefix such as 192.0.2.0/24, or an address\npsid-len -1 is outside 0 to 16"},
	} {
		_, err := given(test.ce, test.br, test.ipv4, test.psid, test.length, test.offset)
		wantError(t, err, test.want)
	}
}

func TestCheckPrefix(t *testing.T) {
	s, err := given(givenCE, givenBR, "192.0.2.18/32", 0x34, 6, 6)
	if err != nil {
		t.Fatal(err)
	}
	for _, inside := range []string{"2001:db8:12c0:f200::/56", "2001:db8:12c0::/48", "2001:db8:12c0:f2f0::/60", "2001:db8:12c0:f2f1::9/128"} {
		if err := s.CheckPrefix(netip.MustParsePrefix(inside)); err != nil {
			t.Errorf("%s: %v", inside, err)
		}
	}
	wantError(t, s.CheckPrefix(netip.MustParsePrefix("2001:db8:12c0:f300::/64")),
		"ce "+givenCE+" is outside the prefix 2001:db8:12c0:f300::/56: packets to it do not arrive on this line; use the values for 2001:db8:12c0:f300::/56")
	if err := s.CheckPrefix(netip.MustParsePrefix("fe80::/64")); err == nil {
		t.Error("a link-local prefix is taken for the line's")
	}
}
