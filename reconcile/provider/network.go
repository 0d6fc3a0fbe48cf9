package provider

import "net/netip"

// knownNetwork is a prefix in which lines are found that have no built-in rule, and what such a line is. The
// prefixes are those by which ikm-san/openwrt calib.lua and makeding/luci-app-fleth tell the services apart; the
// regions of the last ones are NTT's.
type knownNetwork struct {
	prefix netip.Prefix
	what   string
}

const (
	dsLite  = ", which is DS-Lite and not MAP-E; DS-Lite is not supported yet"
	unknown = ", but in none of the rules known in November 2026: ask for the rule and write it into the section " +
		"(keys rules and br), or write the values (key softwire)"
	closed = ", which is not on the Internet: the provider has not switched IPoE on for this line yet (IPoE (IPv6) の開通前); " +
		"ask it to, and try again when the line has another prefix"
)

func networks() []knownNetwork {
	p := netip.MustParsePrefix
	return []knownNetwork{
		{p("2409::/16"), "transix" + dsLite + ". An OCN line in it is not on OCN バーチャルコネクト"},
		{p("2405:6580::/29"), "v6コネクト" + dsLite},
		{p("2001:c28::/32"), "v6コネクト" + dsLite},
		{p("2001:f60::/28"), "クロスパス" + dsLite},
		{p("2001:f70::/29"), "クロスパス" + dsLite},
		{p("2404:1a8::/32"), "NTT East's closed network" + closed},
		{p("2001:c90::/32"), "NTT East's closed network" + closed},
		{p("2408::/22"), "NTT East's closed network" + closed},
		{p("2001:d70::/30"), "NTT West's closed network" + closed},
		{p("2001:a000::/21"), "NTT West's closed network" + closed},
		{p("2400:4050::/30"), "OCN in the east of Japan" + unknown},
		{p("2400:4150::/30"), "OCN in the west of Japan" + unknown},
		{p("240b::/16"), "v6プラス" + unknown},
		{p("2404:7a80::/29"), "BIGLOBE" + unknown},
		{p("240d:f::/32"), "NURO 光" + unknown},
		{p("240d:10::/32"), "NURO 光" + unknown},
	}
}

// network is the known network that holds prefix. The table has no network inside another.
func network(prefix netip.Prefix) (knownNetwork, bool) {
	for _, n := range networks() {
		if n.prefix.Bits() <= prefix.Bits() && n.prefix.Contains(prefix.Addr()) {
			return n, true
		}
	}
	return knownNetwork{}, false
}
