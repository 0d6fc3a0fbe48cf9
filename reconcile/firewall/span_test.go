package firewall

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"mape-netplan/reconcile/firewall/ruleset"
)

// TestSpans asks every address of a small network one by one.
func TestSpans(t *testing.T) {
	address := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}) }
	for range 2000 {
		var prefixes []netip.Prefix
		for range 1 + rand.IntN(5) {
			prefixes = append(prefixes, netip.PrefixFrom(address(rand.IntN(64)), 26+rand.IntN(7)))
		}
		from := rand.IntN(64)
		to := from + rand.IntN(64-from)
		inside, outside := 0, 0
		for n := range 256 {
			for _, p := range prefixes {
				switch {
				case p.Contains(address(n)) && n >= from && n <= to:
					inside++
				case p.Contains(address(n)):
					outside++
				}
			}
		}
		want := rarely
		if inside == 0 {
			want = no
		} else if outside == 0 {
			want = yes
		}
		v := ruleset.Interval{From: address(from).AsSlice(), To: address(to).AsSlice()}
		if got := spansOf(prefixes...).within(v); got != want {
			t.Fatalf("%v within %s-%s: %v, want %v", prefixes, address(from), address(to), got, want)
		}
	}
}
