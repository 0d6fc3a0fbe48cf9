package provider

import (
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
