package gateway_test

import (
	"testing"
	"time"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/resource"
)

// BenchmarkPlan is a run with nothing to do: gather, resolve, compile and plan. On a kernel without ip6_tunnel another
// link stands in for the tunnel, and only the look at the tunnel itself is left out.
func BenchmarkPlan(b *testing.B) {
	g := gatewaytest.NewMachine(b)
	want := g.StandIn(b)
	g.Converge(b, want)
	b.ReportAllocs()
	var gather, compile, plan time.Duration
	g.Do(func() {
		for b.Loop() {
			start := time.Now()
			f, err := facts.Gather(g.H)
			if err != nil {
				b.Fatal(err)
			}
			gather += time.Since(start)
			start = time.Now()
			line, err := gatewaytest.Resolve(gatewaytest.SectionOf(b, gatewaytest.LineSection), f)
			if err != nil {
				b.Fatal(err)
			}
			want := gateway.Compile(line, f)
			compile += time.Since(start)
			start = time.Now()
			for _, r := range want {
				if _, tunnel := r.(resource.Tunnel); tunnel {
					continue
				}
				live, err := r.Read(b.Context(), g.H)
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
