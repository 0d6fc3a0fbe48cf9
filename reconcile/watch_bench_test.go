package reconcile

import (
	"testing"
	"time"
)

// BenchmarkPass is a pass of a watch with nothing to do, and as "plan" what
// status and an apply with nothing to do cost, on machines that have more and
// more. x-empty is how much that is of what it takes on an empty one, in
// time of the CPU, for the machine that measures may have other things to do.
func BenchmarkPass(b *testing.B) {
	empty := map[string]float64{}
	for _, m := range append(grown, growth{"all", growAll}) {
		g, glances := glancesOf(b, m.grow)
		for _, glance := range glances {
			b.Run(glance.what+"/"+m.name, func(b *testing.B) {
				b.ReportAllocs()
				g.do(func() {
					begin := processTime(b)
					for b.Loop() {
						glance.once()
					}
					took := float64(processTime(b)-begin) / float64(b.N)
					b.ReportMetric(took/1e6, "cpu-ms/op")
					if m.name == "empty" {
						empty[glance.what] = took
					}
					b.ReportMetric(took/empty[glance.what], "x-empty")
				})
			})
		}
	}
}

// BenchmarkEvent is from a change of the line to the gateway that it makes, and
// from what somebody breaks to that mended.
func BenchmarkEvent(b *testing.B) {
	w := newWatch(b, auto)
	w.run(b, "ip", "address", "add", lineAddress, "dev", "eth1")
	w.says(b, 10*second, "CE "+ceOfLine)
	rest := func() {
		w.rest(b)
		w.forget()
	}
	b.Run("renumber", func(b *testing.B) {
		for i := range b.N {
			b.StopTimer()
			rest()
			from, to, ce := lineAddress, otherAddress, ceOfOther
			if i%2 == 1 {
				from, to, ce = otherAddress, lineAddress, ceOfLine
			}
			b.StartTimer()
			w.run(b, "sh", "-c", "ip address add "+to+" dev eth1; ip address del "+from+" dev eth1")
			w.says(b, 10*second, "CE "+ce, "changed in")
		}
	})
	b.Run("table", func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			rest()
			time.Sleep(100 * time.Millisecond)
			b.StartTimer()
			w.run(b, "nft", "delete", "table", "ip", "mape")
			w.await(b, "mended", second, func() bool { return len(w.log) > 0 })
		}
	})
}
