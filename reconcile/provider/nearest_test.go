package provider

import (
	"fmt"
	"net/netip"
	"testing"
)

// TestNearest finds the provider whose lines are next to one that no rule covers.
func TestNearest(t *testing.T) {
	for prefix, want := range map[string]string{
		"2400:4053:ff00::/56": "ocn 2400:4053::/32", // between two rules of one /32
		"240b:14::/56":        "v6plus 240b:10::/32",
		"2404:7a88::/56":      "biglobe 2404:7a80::/31",
		"240d:11::/64":        "nuro 240d:10::/32",
		"2a00:1450::/56":      "",
		"2001:db8::/56":       "",
	} {
		got := ""
		if n, ok := Nearest(netip.MustParsePrefix(prefix)); ok {
			got = n.Provider + " " + n.Block.String()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", prefix, got, want)
		}
	}
}

// TestKnown says whose a network is in few words.
func TestKnown(t *testing.T) {
	for prefix, want := range map[string]string{
		"2409:10::/56":    "2409::/16 transix, which is DS-Lite and not MAP-E",
		"240b:14::/64":    "240b::/16 v6プラス, but in none of the rules known in November 2026",
		"2404:1a8:1::/64": "2404:1a8::/32 NTT East's closed network, which is not on the Internet: the provider has not switched IPoE on for this line yet (IPoE (IPv6) の開通前)",
		"2001:db8::/56":   "",
	} {
		got := ""
		if n, ok := Known(netip.MustParsePrefix(prefix)); ok {
			got = fmt.Sprintf("%s %s, %s", n.Prefix, n.Owner, n.Kind)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", prefix, got, want)
		}
	}
}
