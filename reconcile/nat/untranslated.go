package nat

import (
	"net/netip"
	"slices"
	"sort"

	"github.com/google/nftables"

	"mape-netplan/reconcile/nft"
)

// Sets of a table without NAT.
const (
	sourcesSet = "sources" // what leaves
	nowhereSet = "nowhere" // where nothing goes
)

// tunnelEnds are the addresses of the ends of DS-Lite tunnels (RFC 6333 section 5.7).
var tunnelEnds = netip.MustParsePrefix("192.0.0.0/29")

// Disjoint are prefixes of which none is in another one, sorted.
func Disjoint(all []netip.Prefix) []netip.Prefix {
	var wide []netip.Prefix
	for _, p := range all {
		wide = append(wide, p.Masked())
	}
	sort.Slice(wide, func(i, j int) bool { return wide[i].Compare(wide[j]) < 0 })
	var disjoint []netip.Prefix
	for _, p := range slices.Compact(wide) { // A prefix sorts before those within it.
		if len(disjoint) == 0 || !disjoint[len(disjoint)-1].Overlaps(p) {
			disjoint = append(disjoint, p)
		}
	}
	return disjoint
}

// untranslated is the table where nothing is translated here. Its base chains are among those of the table with NAT, so
// that one replaces the other without a moment in which neither filters.
func (n natTable) untranslated() nft.Table {
	t := nft.Table{Name: Name, Comment: Mark, Sets: []nft.Set{
		nft.PrefixSet(sourcesSet, n.Untranslated...), nft.PrefixSet(nowhereSet, append(slices.Clone(SpecialPurpose), tunnelEnds)...),
		nft.PrefixSet(specialSet, SpecialPurpose...),
	}}
	in := nft.Chain{Name: "prerouting", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPrerouting, Priority: -350}
	in.Rules = append([]nft.Rule{nft.NewRule(nft.Not(nft.IIfType, tunnelType), nft.Accept), nft.NewRule(nft.Not(nft.IIfName, n.tun), nft.Accept)}, n.clamp()...)
	in.Rules = append(in.Rules, nft.NewRule(nft.InSet(sourcesSet, nft.IPDaddr.Value()), nft.Accept), nft.NewRule(nft.Drop))

	begun := nft.Chain{Name: "dstnat", Type: nftables.ChainTypeNAT, Hook: *nftables.ChainHookPrerouting, Priority: -101}
	begun.Rules = []nft.Rule{nft.NewRule(nft.Is(nft.IIfName, n.tun), nft.InSet(specialSet, nft.IPSaddr.Value()), nft.Drop)}
	if !n.accepts() {
		begun.Rules = append(begun.Rules, nft.NewRule(nft.Is(nft.IIfName, n.tun), nft.Drop))
	}

	// What came out of the tunnel never goes back into it, whatever source it claims.
	out := nft.Chain{Name: "postrouting", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPostrouting, Priority: 300}
	out.Rules = append([]nft.Rule{
		nft.NewRule(nft.Not(nft.OIfType, tunnelType), nft.Accept),
		nft.NewRule(nft.Not(nft.OIfName, n.tun), nft.Accept),
		nft.NewRule(nft.Is(nft.IIfName, n.tun), nft.Drop),
		nft.NewRule(nft.InSet(nowhereSet, nft.IPDaddr.Value()), nft.Drop)}, n.clamp()...)
	out.Rules = append(out.Rules, nft.NewRule(nft.InSet(sourcesSet, nft.IPSaddr.Value()), nft.Accept), nft.NewRule(nft.Drop))
	t.Chains = []nft.Chain{in, begun, n.input(), out}
	return t
}

// clamp lowers a SYN's segment size to what the tunnel carries.
func (n natTable) clamp() []nft.Rule {
	if n.Tunnel.MTU <= 40 {
		return nil
	}
	return []nft.Rule{nft.NewRule(tcp, nft.MaxSegmentSize(uint16(min(n.Tunnel.MTU, 65535)-40)))}
}
