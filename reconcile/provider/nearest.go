package provider

import (
	"net/netip"

	"mape-netplan/reconcile/softwire"
)

// nearBits is how many leading bits the lines of one provider share at least: registries allocate a /32 or shorter, and
// the rules of a provider lie in blocks of /29 and longer.
const nearBits = 24

// A Neighbor is a provider with lines near a prefix that no rule covers.
type Neighbor struct {
	Provider, Service string
	// Block is the /32 of its nearest rule, or the rule's own prefix if that is shorter.
	Block netip.Prefix
}

// Nearest returns the provider whose rule shares most leading bits with prefix; ok is false if none shares as many as
// lines of one provider do.
func Nearest(prefix netip.Prefix) (n Neighbor, ok bool) {
	rules, err := parsed()
	if err != nil {
		return Neighbor{}, false
	}
	most := nearBits - 1
	for _, r := range rules {
		if same := min(r.IPv6.Bits(), softwire.CommonBits(r.IPv6.Addr(), prefix.Addr())); same > most {
			most = same
			n = Neighbor{r.Provider, service(r.Provider), netip.PrefixFrom(r.IPv6.Addr(), min(32, r.IPv6.Bits())).Masked()}
		}
	}
	return n, most >= nearBits
}
