package provider

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// nearBits is how many leading bits a prefix shares with those of its own provider at least: a registry hands them out
// as a /32 or shorter, and rules of one provider lie in blocks of /29 and longer.
const nearBits = 24

// A Neighbor is a provider with lines near a prefix that no rule covers.
type Neighbor struct {
	Provider, Service string
	// Block is the /32 of its nearest rule, or the rule's own prefix where that is shorter.
	Block netip.Prefix
}

// Nearest is the provider with the rule that has most leading bits in common with prefix; ok is false where none has
// nearly as many as lines of one provider have.
func Nearest(prefix netip.Prefix) (n Neighbor, ok bool) {
	rules, err := parsed()
	if err != nil {
		return Neighbor{}, false
	}
	most := nearBits - 1
	for _, r := range rules {
		if same := min(r.IPv6.Bits(), commonBits(r.IPv6.Addr(), prefix.Addr())); same > most {
			most = same
			n = Neighbor{r.Provider, service(r.Provider), netip.PrefixFrom(r.IPv6.Addr(), min(32, r.IPv6.Bits())).Masked()}
		}
	}
	return n, most >= nearBits
}

// commonBits is the number of leading bits, at most 64, in which a and b agree.
func commonBits(a, b netip.Addr) int {
	x, y := a.As16(), b.As16()
	return bits.LeadingZeros64(binary.BigEndian.Uint64(x[:]) ^ binary.BigEndian.Uint64(y[:]))
}
