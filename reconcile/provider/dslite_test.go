package provider

import (
	"net/netip"
	"testing"
)

// TestDSLite: a service by its name on any line, and by its networks with auto alone.
func TestDSLite(t *testing.T) {
	for _, test := range []struct{ name, prefix, provider, aftr string }{
		{"auto", "2409:10:1:200::/56", "transix", "gw.transix.jp"},
		{"auto", "2409::/64", "transix", "gw.transix.jp"},
		{"auto", "240a:ffff:1:200::/56", "", ""},
		{"auto", "2001:f60:1:200::/64", "xpass", "dgw.xpass.jp"},
		{"auto", "2001:f77:1:200::/64", "xpass", "dgw.xpass.jp"},
		{"auto", "2001:f78::/64", "", ""},
		{"auto", "2405:6580::/64", "v6connect", "dslite.v6connect.net"},
		{"auto", "2405:6588::/64", "", ""},
		{"auto", "2001:c28:5:301::11/128", "v6connect", "dslite.v6connect.net"},
		{"auto", "2400:4050:5c71:af00::/56", "", ""},
		{"auto", "2408:211::/56", "", ""},
		{"ocn", "2409:10:1:200::/56", "", ""},
		{"discover", "2409:10:1:200::/56", "", ""},
		{"dhcpv6", "2409:10:1:200::/56", "", ""},
		{"", "2409:10:1:200::/56", "", ""},
		{"xpass", "2409:10:1:200::/56", "xpass", "dgw.xpass.jp"},
		{"v6connect", "2001:db8::/56", "v6connect", "dslite.v6connect.net"},
		{"transix", "2400:4050:5c71:af00::/56", "transix", "gw.transix.jp"},
	} {
		a, ok := DSLite(test.name, netip.MustParsePrefix(test.prefix))
		if a.Provider != test.provider || a.Name != test.aftr || ok != (test.aftr != "") {
			t.Errorf("%s on %s: %+v, %v", test.name, test.prefix, a, ok)
		}
	}
	for _, n := range networks() { // Each DS-Lite network belongs to a service.
		if _, ok := DSLite(Auto, n.Prefix); ok != (n.Kind == Lite) {
			t.Errorf("%s: %v", n.Prefix, ok)
		}
	}
}
