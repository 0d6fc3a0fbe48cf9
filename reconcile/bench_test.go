package reconcile

import (
	"testing"
	"time"
)

// BenchmarkPlan is a run with nothing to do: gather, resolve, compile and plan. On a kernel without ip6_tunnel another
// link stands in for the tunnel, and only the look at the tunnel itself is left out.
func BenchmarkPlan(b *testing.B) {
	g := newGateway(b)
	want := g.standIn(b)
	g.converge(b, want)
	b.ReportAllocs()
	var gather, compile, plan time.Duration
	g.do(func() {
		for b.Loop() {
			start := time.Now()
			f, err := Gather(g.h)
			if err != nil {
				b.Fatal(err)
			}
			gather += time.Since(start)
			start = time.Now()
			line, err := resolve(sectionOf(b, lineSection), f)
			if err != nil {
				b.Fatal(err)
			}
			want := Compile(line, f)
			compile += time.Since(start)
			start = time.Now()
			for _, r := range want {
				if _, tunnel := r.(Tunnel); tunnel {
					continue
				}
				live, err := r.Read(b.Context(), g.h)
				if err != nil || live.Text() != r.Text() {
					b.Fatalf("%s is not in sync: %v", r.Name(), err)
				}
			}
			plan += time.Since(start)
		}
	})
	for name, d := range map[string]time.Duration{"gather": gather, "compile": compile, "plan": plan} {
		b.ReportMetric(float64(d.Microseconds())/float64(b.N)/1000, name+"-ms/op")
	}
}
