package nat_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/nat"
)

// TestSearch simulates the kernel's search for a free number (nf_nat_l4proto_unique_tuple) while a pool fills up: what a
// destination has when it first finds none is why the pool is used in parts, and hardly ever less than most.
func TestSearch(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"ocn", "v6plus"} {
		const runs = 500
		n := gatewaytest.GatewayOf(gatewaytest.NatKinds[name], 1460).NATConfig().Pool()
		var firsts []int
		for range runs {
			firsts = append(firsts, filled(random, n.Size()))
		}
		slices.Sort(firsts)
		early, _ := slices.BinarySearch(firsts, int(n.Most()))
		percent := func(i int) int { return firsts[i] * 100 / n.Size() }
		t.Logf("%s: least %d %%, median %d %%, %d of %d runs before %d", name, percent(0), percent(runs/2), early, runs, n.Most())
		if early > runs/100 {
			t.Errorf("%s: %d of %d runs end before the pool is used in parts", name, early, runs)
		}
		if percent(runs/20) > 97 {
			t.Errorf("%s: the search finds nearly all; the parts are not needed", name)
		}
	}
}

// filled takes numbers of a pool of that size until the search finds none, and returns how many it found.
func filled(random *rand.Rand, size int) int {
	taken := make([]bool, size)
	for count := 0; ; count++ {
		free := -1
		for tries := min(size, nat.PartSize); free < 0; tries /= 2 {
			first := random.IntN(size)
			for i := range tries {
				if n := (first + i) % size; !taken[n] {
					free = n
					break
				}
			}
			if tries >= size || tries < 16 {
				break
			}
		}
		if free < 0 {
			return count
		}
		taken[free] = true
	}
}
