package firewall

import (
	"cmp"
	"net/netip"
	"sort"

	"mape-netplan/reconcile/kernel"
)

// Spans are addresses, one of which is a packet's: in order, and apart from each
// other, for a machine may have thousands, and there may be as many rules.
type spans []span

type span struct{ first, last netip.Addr }

func spansOf(prefixes ...netip.Prefix) spans {
	var all spans
	for _, p := range prefixes {
		if p.IsValid() {
			all = append(all, span{p.Masked().Addr(), kernel.LastAddress(p)})
		}
	}
	sort.Slice(all, func(i, j int) bool {
		return cmp.Or(all[i].first.Compare(all[j].first), all[i].last.Compare(all[j].last)) < 0
	})
	joined := all[:0]
	for _, s := range all {
		// Of two prefixes that overlap one contains the other.
		if n := len(joined); n == 0 || joined[n-1].last.Less(s.first) {
			joined = append(joined, s)
		} else if joined[n-1].last.Less(s.last) {
			joined[n-1] = s
		}
	}
	return joined
}

// special are the addresses that nobody on the internet has.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("224.0.0.0/3"),
}
