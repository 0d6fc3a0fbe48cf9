package provider

import (
	"errors"
	"net/netip"
	"testing"
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

func TestFindRefuses(t *testing.T) {
	const (
		dsLite  = ", which is DS-Lite and not MAP-E: write provider: auto"
		unknown = ", but in none of the rules known in November 2026: ask for the rule and write it into the section (keys rules and br), or write the values (key softwire)"
		closed  = ", which is not on the Internet: the provider has not switched IPoE on for this line yet (IPoE (IPv6) の開通前); ask it to, and try again when the line has another prefix"
		none    = "no built-in rule covers prefix "
	)
	for _, test := range []struct{ provider, prefix, want string }{
		{"auto", "2409:10:1:200::/56", none + "2409:10:1:200::/56: 2409::/16 is transix" + dsLite + ". An OCN line in it is not on OCN バーチャルコネクト"},
		{"ocn", "2409:10:1:200::/56", none + "2409:10:1:200::/56: 2409::/16 is transix" + dsLite + ". An OCN line in it is not on OCN バーチャルコネクト"},
		{"auto", "2405:6587:1:200::/56", none + "2405:6587:1:200::/56: 2405:6580::/29 is v6コネクト" + dsLite},
		{"auto", "2001:c28:1:200::/56", none + "2001:c28:1:200::/56: 2001:c28::/32 is v6コネクト" + dsLite},
		{"auto", "2001:f6f:1:200::/64", none + "2001:f6f:1:200::/64: 2001:f60::/28 is クロスパス" + dsLite},
		{"auto", "2001:f77:1:200::/64", none + "2001:f77:1:200::/64: 2001:f70::/29 is クロスパス" + dsLite},
		{"auto", "2408:211:1:200::/64", none + "2408:211:1:200::/64: 2408::/22 is NTT East's closed network" + closed},
		{"auto", "2001:a7ff:1:200::/64", none + "2001:a7ff:1:200::/64: 2001:a000::/21 is NTT West's closed network" + closed},
		{"v6plus", "240b:20:1:200::/56", none + "240b:20:1:200::/56: 240b::/16 is v6プラス" + unknown},
		{"auto", "240d:10:2000::/56", none + "240d:10:2000::/56: 240d:10::/32 is NURO 光" + unknown},
		{"auto", "2001:db8:12:3400::/56", none + "2001:db8:12:3400::/56, and its network is not known: if the provider uses MAP-E, write its rules or values into the section (keys rules and br, or softwire)"},
		{"ocn", "240b:10:2a40:9600::/56", "no rule of provider ocn covers prefix 240b:10:2a40:9600::/56, but one of v6plus (v6プラス) does: write provider: v6plus, or auto"},
		{"auto", "2400:4050::/30", "prefix 2400:4050::/30 is too short: it covers several lines of OCN バーチャルコネクト, each of which has a /56"},
		{"docomo", "2400:4050::/56", `provider "docomo" is unknown: it must be auto or ocn, v6plus, biglobe, nuro`},
		{"auto", "fe80::/64", "prefix fe80::/64 must be a global IPv6 prefix of the provider, such as 2001:db8:12:3400::/56: fe80:: is a link-local address"},
		{"auto", "", "prefix is missing or not a prefix: it must be an IPv6 prefix such as 2001:db8:12:3400::/56"},
	} {
		prefix, _ := netip.ParsePrefix(test.prefix)
		_, err := Find(test.provider, prefix)
		wantError(t, err, test.want)
	}
}

func TestFind(t *testing.T) {
	for _, prefix := range []string{"2400:4050:5c71:af00::/56", "2400:4050:5c71:aff1::/64", "2400:4050:5c71:aff1:be24::8/128", "2400:4050:5c71::/48"} {
		for _, name := range []string{"ocn", Auto} {
			r, err := Find(name, netip.MustParsePrefix(prefix))
			if err != nil || r.Provider != "ocn" || r.IPv6.String() != "2400:4050:4000::/35" {
				t.Errorf("Find(%s, %s) is %+v, %v", name, prefix, r, err)
			}
		}
	}
}

func TestNetworksAreApart(t *testing.T) {
	all := networks()
	for i, n := range all {
		if n.Prefix != n.Prefix.Masked() {
			t.Errorf("%v has host bits", n.Prefix)
		}
		for _, other := range all[:i] {
			if n.Prefix.Overlaps(other.Prefix) {
				t.Errorf("%v overlaps %v", n.Prefix, other.Prefix)
			}
		}
	}
}

// TestNoRule: what lines a prefix without a rule is among is a value, not a word of the message.
func TestNoRule(t *testing.T) {
	for text, lines := range map[string]Kind{
		"2409:10:1:200::/56": Lite, "2001:f6f:1:200::/64": Lite, "2408:211:1:200::/64": Closed,
		"240b:20:1:200::/56": RuleUnknown, "2001:db8:12:3400::/56": RuleUnknown,
	} {
		prefix := netip.MustParsePrefix(text)
		_, err := Find(Auto, prefix)
		var none NoRule
		if !errors.As(err, &none) || none.Prefix != prefix || none.Network.Kind != lines || none.Network.Prefix.IsValid() != (text != "2001:db8:12:3400::/56") {
			t.Errorf("%s: %+v", text, none)
		}
	}
	for _, text := range []string{"2400:4050::/30", "fe80::/64"} {
		if _, err := Find(Auto, netip.MustParsePrefix(text)); err == nil || errors.As(err, new(NoRule)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
