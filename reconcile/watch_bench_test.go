package reconcile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/schema"
)

// grown are machines that have more than a gateway needs.
var grown = []struct {
	name string
	grow func(testing.TB, *gatewayNS)
}{
	{"empty", func(testing.TB, *gatewayNS) {}},
	{"routes", func(t testing.TB, g *gatewayNS) {
		g.batch(t, "ip", "-batch", 10_000, "route add 172.%[3]d.%[1]d.%[2]d/32 dev eth0 proto bgp")
	}},
	{"addresses", func(t testing.TB, g *gatewayNS) {
		g.batch(t, "ip", "-batch", 2_000, "address add 10.77.%[1]d.%[2]d/32 dev lo")
	}},
	{"rules", func(t testing.TB, g *gatewayNS) {
		g.run(t, "nft", "add table ip others; add chain ip others f { type filter hook forward priority 0; }")
		g.batch(t, "nft", "-f", 5_000, "add rule ip others f iifname \"eth9\" ip saddr 10.%[1]d.%[2]d.0/24 tcp dport 80 counter accept")
	}},
}

// batch runs a command on a file of n lines, each with three numbers.
func (g *gatewayNS) batch(t testing.TB, command, flag string, n int, line string) {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, line+"%[4]s\n", i/250%250, i%250+1, 16+i/62500, "")
	}
	name := filepath.Join(t.TempDir(), "batch")
	if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	g.run(t, command, flag, name)
}

// BenchmarkPass is a pass of a watch with nothing to do, and as "plan" what
// status and an apply with nothing to do cost, on machines that have more and
// more. x-empty is how much that is of what it takes on an empty one, in
// time of the CPU, for the machine that measures may have other things to do.
func BenchmarkPass(b *testing.B) {
	empty := map[string]float64{}
	all := append(grown, struct {
		name string
		grow func(testing.TB, *gatewayNS)
	}{"all", func(t testing.TB, g *gatewayNS) {
		for _, m := range grown {
			m.grow(t, g)
		}
	}})
	for _, m := range all {
		g := newGateway(b)
		want := g.standIn(b)
		g.converge(b, want)
		m.grow(b, g)
		w := &Watch{
			Host: g.h, Section: func() (*schema.Config, error) { return sectionOf(b, lineSection), nil },
			Log: func(p Priority, text string) {
				if p < Notice {
					b.Error(text)
				}
			},
			Notify: func(string) {}, compile: withoutTunnel, said: map[string]string{}, mended: ledger{},
		}
		g.do(func() {
			var err error
			if w.events, err = g.h.listen(); err != nil {
				b.Fatal(err)
			}
			w.pass(b.Context())
		})
		for what, once := range map[string]func(){
			"watch": func() { w.pass(b.Context()) },
			"plan": func() {
				f, err := Gather(g.h)
				if err != nil {
					b.Fatal(err)
				}
				if changes, err := Plan(b.Context(), g.h, withoutTunnel(mustResolve(b, lineSection, f), f)); err != nil || len(changes) > 0 {
					b.Fatal(names(changes), err)
				}
			},
		} {
			b.Run(what+"/"+m.name, func(b *testing.B) {
				g.do(func() {
					begin := processTime(b)
					for b.Loop() {
						once()
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
		w.events.close()
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

// processTime is how long this process has run.
func processTime(t testing.TB) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
