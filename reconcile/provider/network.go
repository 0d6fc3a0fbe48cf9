package provider

import "net/netip"

// A Network is a block of addresses with lines that no built-in rule covers.
type Network struct {
	Prefix netip.Prefix
	Owner  string // "transix"
	Kind   Kind
	Note   string
}

// A Kind is the kind of the lines in a network.
type Kind uint8

const (
	RuleUnknown Kind = iota // MAP-E, of which not every rule is known
	Lite
	Closed // not on the Internet
)

// kinds have what a line is, and what to do.
var kinds = map[Kind]struct{ what, then string }{
	RuleUnknown: {"but in none of the rules known in November 2026", ": ask for the rule and write it into the section " +
		"(keys rules and br), or write the values (key softwire)"},
	Lite: {"which is DS-Lite and not MAP-E", ": write provider: auto"},
	Closed: {"which is not on the Internet: the provider has not switched IPoE on for this line yet (IPoE (IPv6) の開通前)",
		"; ask it to, and try again when the line has another prefix"},
}

// String continues a sentence after the owner: "which is DS-Lite and not MAP-E".
func (k Kind) String() string { return kinds[k].what }

// String is the owner, what its lines are, and what to do.
func (n Network) String() string {
	return n.Owner + ", " + n.Kind.String() + kinds[n.Kind].then + n.Note
}

// networks are the prefixes by which ikm-san/openwrt calib.lua and makeding/luci-app-fleth tell the services apart. East
// and west are the regions of NTT.
func networks() []Network {
	p := netip.MustParsePrefix
	const east, west = "NTT East's closed network", "NTT West's closed network"
	return []Network{
		{p("2409::/16"), "transix", Lite, ". An OCN line in it is not on OCN バーチャルコネクト"},
		{p("2405:6580::/29"), "v6コネクト", Lite, ""},
		{p("2001:c28::/32"), "v6コネクト", Lite, ""},
		{p("2001:f60::/28"), "クロスパス", Lite, ""},
		{p("2001:f70::/29"), "クロスパス", Lite, ""},
		{p("2404:1a8::/32"), east, Closed, ""},
		{p("2001:c90::/32"), east, Closed, ""},
		{p("2408::/22"), east, Closed, ""},
		{p("2001:d70::/30"), west, Closed, ""},
		{p("2001:a000::/21"), west, Closed, ""},
		{p("2400:4050::/30"), "OCN in the east of Japan", RuleUnknown, ""},
		{p("2400:4150::/30"), "OCN in the west of Japan", RuleUnknown, ""},
		{p("240b::/16"), "v6プラス", RuleUnknown, ""},
		{p("2404:7a80::/29"), "BIGLOBE", RuleUnknown, ""},
		{p("240d:f::/32"), "NURO 光", RuleUnknown, ""},
		{p("240d:10::/32"), "NURO 光", RuleUnknown, ""},
	}
}

// Known is the network that holds prefix. The table has no network inside another.
func Known(prefix netip.Prefix) (Network, bool) {
	for _, n := range networks() {
		if n.Prefix.Bits() <= prefix.Bits() && n.Prefix.Contains(prefix.Addr()) {
			return n, true
		}
	}
	return Network{}, false
}
