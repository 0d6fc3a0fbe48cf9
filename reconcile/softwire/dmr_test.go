package softwire_test

import (
	"net/netip"
	"testing"

	"mape-netplan/reconcile/softwire"
)

func TestCheckDMR(t *testing.T) {
	t.Parallel()
	const must = " must be an IPv6 prefix of the provider, such as 2001:db8:ffff::/64: "
	for text, want := range map[string]string{
		"":                        "dmr is missing or not a prefix: it must be an IPv6 prefix such as 2001:db8:ffff::/64",
		"192.0.2.0/32":            "dmr 192.0.2.0/32" + must + "192.0.2.0 is an IPv4 address",
		"fe80::/64":               "dmr fe80::/64" + must + "fe80:: is a link-local address",
		"ff00::/32":               "dmr ff00::/32" + must + "ff00:: is a multicast address",
		"::/96":                   "dmr ::/96" + must + ":: is the unspecified address",
		"::ffff:0.0.0.0/96":       "dmr ::ffff:0.0.0.0/96" + must + "::ffff:0.0.0.0 is an IPv4-mapped address",
		"2001:db8:ffff::1/64":     "dmr 2001:db8:ffff::1/64 has bits set after its first 64: write 2001:db8:ffff::/64, or correct the length",
		"2001:db8:1:2:ff00::/96":  "dmr 2001:db8:1:2:ff00::/96 must have zeros in bits 64 to 71 (RFC 6052 section 2.2)",
		"2001:db8:1:2:ff::/96":    "",
		"64:ff9b::/96":            "",
		"64:ff9b:1::/48":          "",
		"fd00:64::/32":            "",
		"2001:db8:ffff:ffff::/64": "",
	} {
		p, _ := netip.ParsePrefix(text)
		if err := softwire.CheckDMR(p); want != "" {
			wantError(t, err, want)
		} else if err != nil {
			t.Error(err)
		}
	}
	for length := range 129 {
		p, _ := netip.MustParseAddr("2001:db8::").Prefix(length)
		legal := length == 32 || length == 40 || length == 48 || length == 56 || length == 64 || length == 96
		if err := softwire.CheckDMR(p); (err == nil) != legal {
			t.Errorf("%v: %v", p, err)
		}
	}
}
