package provider

import "net/netip"

// lites are the DS-Lite services with their AFTRs. The names are asked of the line: those of transix and v6コネクト are known
// inside their networks only, and their addresses depend on the region (ikm-san/openwrt calib.lua, makeding/luci-app-fleth).
var lites = []struct{ name, service, aftr string }{
	{"transix", "transix", "gw.transix.jp"},
	{"xpass", "クロスパス", "dgw.xpass.jp"},
	{"v6connect", "v6コネクト", "dslite.v6connect.net"},
}

// DSLite returns the provider of a DS-Lite line and the name of its AFTR: of the service of that name or, for Auto, of the
// network that holds prefix. ok is false where that is not DS-Lite.
func DSLite(name string, prefix netip.Prefix) (provider, aftr string, ok bool) {
	network, _ := Known(prefix)
	for _, l := range lites {
		if l.name == name || name == Auto && network.Kind == Lite && network.Owner == l.service {
			return l.name, l.aftr, true
		}
	}
	return "", "", false
}
