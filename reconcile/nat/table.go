// Package nat makes the nftables table ip mape of a plain configuration, and reads one back.
package nat

import (
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nft"
)

// Table compiles table ip mape: filter, NAT and MSS clamp. The pool is Config.Pool's.
//
// Packets of other interfaces cost one comparison in each chain that they meet, of the link's type: comparing a name takes
// three times as many instructions, 235 (TestCost). Packets of the tunnel cost one look-up. The tunnel is matched by name,
// because the table is there before it, but TCP's data does not pay for that. All policies are accept and the last rule
// drops: a policy of drop would drop every packet of the machine if the rules before it were flushed.
func Table(c Config, p Pool) nft.Table {
	n := natTable{c, p, kernel.IfName(c.Tunnel.Link)}
	if c.Untranslated != nil {
		return n.untranslated()
	}
	t := nft.Table{Name: Name, Comment: Mark, Timeouts: timeouts(c.Conntrack), Sets: []nft.Set{nft.PrefixSet(specialSet, SpecialPurpose...)}, Chains: []nft.Chain{
		n.prerouting(), n.dstnat(), n.input(), n.srcnat(), n.postrouting(),
	}}
	if n.permuted() {
		t.Sets = append(t.Sets, nft.PortMap(toReal, n.real), nft.PortMap(toPool, inverse(n.real)))
		t.Chains = append(t.Chains, n.errorIn(), n.errorOut())
	}
	if len(n.Forwards) > 0 {
		forwards, maps := n.forwarding()
		t.Chains = append(t.Chains, n.output(), forwards, n.hairpin())
		t.Sets = append(t.Sets, maps...)
	}
	if n.accepts() && n.permuted() {
		t.Chains = append(t.Chains, n.restore())
	}
	if n.parted() {
		t.Sets = append(t.Sets, n.countSets()...)
		t.Chains = append(t.Chains, n.counting(), n.drawing(), n.countingPart())
	}
	return t
}
