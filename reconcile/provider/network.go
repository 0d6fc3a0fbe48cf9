package provider

import "net/netip"

// knownNetwork is a prefix in which lines are found that have no built-in rule, and what such a line is. The
// prefixes are those by which ikm-san/openwrt calib.lua and makeding/luci-app-fleth tell the services apart; the
// regions of the last ones are NTT's.
type knownNetwork struct {
	prefix netip.Prefix
	lines  Lines
	what   string
}

// Lines are what is known of the lines of a network.
type Lines int

const (
	Unlisted Lines = iota // MAP-E, as far as is known, by a rule that is not built in
	DSLite
	Closed // not on the Internet yet
)

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
		{p("2409::/16"), DSLite, "transix" + dsLite + ". An OCN line in it is not on OCN バーチャルコネクト"},
		{p("2405:6580::/29"), DSLite, "v6コネクト" + dsLite},
		{p("2001:c28::/32"), DSLite, "v6コネクト" + dsLite},
		{p("2001:f60::/28"), DSLite, "クロスパス" + dsLite},
		{p("2001:f70::/29"), DSLite, "クロスパス" + dsLite},
		{p("2404:1a8::/32"), Closed, "NTT East's closed network" + closed},
		{p("2001:c90::/32"), Closed, "NTT East's closed network" + closed},
		{p("2408::/22"), Closed, "NTT East's closed network" + closed},
		{p("2001:d70::/30"), Closed, "NTT West's closed network" + closed},
		{p("2001:a000::/21"), Closed, "NTT West's closed network" + closed},
		{p("2400:4050::/30"), Unlisted, "OCN in the east of Japan" + unknown},
		{p("2400:4150::/30"), Unlisted, "OCN in the west of Japan" + unknown},
		{p("240b::/16"), Unlisted, "v6プラス" + unknown},
		{p("2404:7a80::/29"), Unlisted, "BIGLOBE" + unknown},
		{p("240d:f::/32"), Unlisted, "NURO 光" + unknown},
		{p("240d:10::/32"), Unlisted, "NURO 光" + unknown},
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
