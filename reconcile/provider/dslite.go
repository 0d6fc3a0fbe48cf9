package provider

import (
	"net/netip"
	"slices"
)

// An AFTR is the far end of a DS-Lite service.
type AFTR struct{ Provider, Service, Name string }

// aftrs have names that are asked of the line: those of transix and v6コネクト are known inside their networks only, and their
// addresses depend on the region (ikm-san/openwrt calib.lua, makeding/luci-app-fleth).
var aftrs = []AFTR{
	{"transix", "transix", "gw.transix.jp"},
	{"xpass", "クロスパス", "dgw.xpass.jp"},
	{"v6connect", "v6コネクト", "dslite.v6connect.net"},
}

// DSLite returns the AFTR of a DS-Lite line: that of the provider or, for Auto, of the network that holds prefix. ok is
// false where that is not DS-Lite.
func DSLite(name string, prefix netip.Prefix) (a AFTR, ok bool) {
	network, _ := Known(prefix)
	i := slices.IndexFunc(aftrs, func(a AFTR) bool {
		return a.Provider == name || name == Auto && network.Kind == Lite && network.Owner == a.Service
	})
	if i < 0 {
		return AFTR{}, false
	}
	return aftrs[i], true
}
