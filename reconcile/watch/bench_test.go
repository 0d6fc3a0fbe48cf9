package watch

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/internal/gatewaytest"
)

// BenchmarkPass is a pass of a watch with nothing to do, and as "plan" what status and an apply with nothing to do cost,
// on machines that have more and more. x-empty is how much that is of what it takes on an empty one, in CPU time, because
// the machine that measures may have other things to do.
func BenchmarkPass(b *testing.B) {
	empty := map[string]float64{}
	machines := []growth{{name: "empty"}}
	for _, m := range append(machines, append(growths, growth{name: "all"})...) {
		g, _, watch, plan := looksOf(b)
		switch {
		case m.name == "all":
			growAll(b, g)
		case m.grow != nil:
			m.grow(b, g, m.n)
		}
		for what, look := range map[string]func(){"watch": watch, "plan": plan} {
			b.Run(what+"/"+m.name, func(b *testing.B) {
				b.ReportAllocs()
				g.Do(func() {
					begin := processTime(b)
					for b.Loop() {
						look()
					}
					took := float64(processTime(b)-begin) / float64(b.N)
					b.ReportMetric(took/1e6, "cpu-ms/op")
					if m.name == "empty" {
						empty[what] = took
					}
					b.ReportMetric(took/empty[what], "x-empty")
				})
			})
		}
	}
}

// processTime is the CPU time of this process.
func processTime(t testing.TB) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkEvent is from a change of the line to the gateway that it makes, and from a deleted table to the
// restored one, on an empty machine and on one that has more than a gateway needs: less than a second, with the product's
// pauses. The commands that make the change are in it.
func BenchmarkEvent(b *testing.B) {
	empty := map[string]float64{}
	for _, machine := range []string{"empty", "all"} {
		w := newService(b, gatewaytest.Auto, func(w *Watch) { w.timings = defaultTimings })
		w.Exec(b, "ip", "address", "add", gatewaytest.LineAddress, "dev", "eth1")
		w.says(b, "CE "+gatewaytest.CeOfLine)
		if machine == "all" {
			growAll(b, w.Machine)
		}
		from, to, ce, next := gatewaytest.LineAddress, gatewaytest.OtherAddress, gatewaytest.CeOfOther, gatewaytest.CeOfLine
		for what, event := range map[string]func(){
			"renumber": func() {
				w.Exec(b, "sh", "-c", "ip address add "+to+" dev eth1; ip address del "+from+" dev eth1")
				w.says(b, "CE "+ce, "changed in")
				from, to, ce, next = to, from, next, ce
			},
			"table": func() {
				w.Exec(b, "nft", "delete", "table", "ip", "mape")
				w.says(b, "restored table ip mape")
			},
		} {
			b.Run(what+"/"+machine, func(b *testing.B) {
				for i := range b.N {
					b.StopTimer()
					if i%(tolerated-1) == tolerated-2 {
						time.Sleep(defaultTimings.stable + time.Second) // What is broken more often in a row is restored later.
					}
					w.looks(b)
					w.forget()
					b.StartTimer()
					event()
				}
				took := float64(b.Elapsed()) / float64(b.N)
				if machine == "empty" {
					empty[what] = took
				}
				b.ReportMetric(took/empty[what], "x-empty")
			})
		}
	}
}
