package watch

import (
	"testing"
	"time"

	"mape-netplan/reconcile/internal/gatewaytest"
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
				g.Do(func() {
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
// from what somebody breaks to that mended, on an empty machine and on one that
// has more than a gateway needs. The commands that do the change and the silence
// that a pass waits for are in it.
func BenchmarkEvent(b *testing.B) {
	empty := map[string]float64{}
	for _, m := range []growth{grown[0], {"all", growAll}} {
		w := newWatch(b, gatewaytest.Auto)
		w.Exec(b, "ip", "address", "add", gatewaytest.LineAddress, "dev", "eth1")
		w.says(b, 10*second, "CE "+gatewaytest.CeOfLine)
		m.grow(b, w.Machine)
		from, to, ce, next := gatewaytest.LineAddress, gatewaytest.OtherAddress, gatewaytest.CeOfOther, gatewaytest.CeOfLine
		for what, event := range map[string]func(){
			"renumber": func() {
				w.Exec(b, "sh", "-c", "ip address add "+to+" dev eth1; ip address del "+from+" dev eth1")
				w.says(b, 10*second, "CE "+ce, "changed in")
				from, to, ce, next = to, from, next, ce
			},
			"table": func() {
				w.Exec(b, "nft", "delete", "table", "ip", "mape")
				w.says(b, second, "mended table ip mape")
			},
		} {
			b.Run(what+"/"+m.name, func(b *testing.B) {
				for i := range b.N {
					b.StopTimer()
					if i%(few-1) == few-2 {
						time.Sleep(calm + second) // What is broken more often in a row is mended later.
					}
					w.rest(b)
					w.forget()
					b.StartTimer()
					event()
				}
				took := float64(b.Elapsed()) / float64(b.N)
				if m.name == "empty" {
					empty[what] = took
				}
				b.ReportMetric(took/empty[what], "x-empty")
			})
		}
	}
}
