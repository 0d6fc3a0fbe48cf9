package watch

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/events"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/schema"
)

// A growth is a machine that has more than a gateway needs.
type growth struct {
	name string
	grow func(testing.TB, *gatewaytest.Machine)
}

var grown = []growth{
	{"empty", func(testing.TB, *gatewaytest.Machine) {}},
	{"routes", func(t testing.TB, g *gatewaytest.Machine) {
		batch(g, t, "ip", "-batch", 10_000, "route add 172.%[3]d.%[1]d.%[2]d/32 dev eth0 proto bgp")
	}},
	{"addresses", func(t testing.TB, g *gatewaytest.Machine) {
		batch(g, t, "ip", "-batch", 2_000, "address add 10.77.%[1]d.%[2]d/32 dev lo")
	}},
	{"rules", func(t testing.TB, g *gatewaytest.Machine) {
		g.Exec(t, "nft", `add table ip others
add chain ip others f { type filter hook forward priority 0; }
add chain ip others o { type filter hook output priority 0; }`)
		// Of some that test an address, each is compared with those that the machine has.
		batch(g, t, "nft", "-f", 4_000, "add rule ip others f iifname \"eth9\" ip saddr 10.%[1]d.%[2]d.0/24 tcp dport 80 counter accept")
		batch(g, t, "nft", "-f", 1_000, "add rule ip others o ip saddr 10.77.%[1]d.%[2]d tcp dport 80 counter accept")
	}},
}

// growAll is 10,000 routes, 2,000 addresses and 5,000 rules of others.
func growAll(t testing.TB, g *gatewaytest.Machine) {
	for _, m := range grown {
		m.grow(t, g)
	}
}

// batch runs a command on a file of n lines, each with three numbers.
func batch(g *gatewaytest.Machine, t testing.TB, command, flag string, n int, line string) {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, line+"%[4]s\n", i/250%250, i%250+1, 16+i/62500, "")
	}
	name := filepath.Join(t.TempDir(), "batch")
	if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	g.Exec(t, command, flag, name)
}

// A glance sees that there is nothing to do: "watch" is a pass of one, and "plan"
// what status and apply do.
type glance struct {
	what string
	once func() // in the machine's namespace
}

// glancesOf makes a gateway that is as it is to be, and grows.
func glancesOf(t testing.TB, grow func(testing.TB, *gatewaytest.Machine)) (*gatewaytest.Machine, []glance) {
	t.Helper()
	g := gatewaytest.NewMachine(t)
	want := g.StandIn(t)
	g.Converge(t, want)
	grow(t, g)
	w := &Watch{
		Host: g.H, Section: func() (*schema.Config, error) { return gatewaytest.SectionOf(t, gatewaytest.LineSection), nil },
		Log: func(p Priority, text string) {
			if p < Notice {
				t.Error(text)
			}
		},
		Notify: func(string) {}, Compile: withoutTunnel, said: map[string]string{}, mended: ledger{},
	}
	g.Do(func() {
		var err error
		if w.events, err = events.Listen(g.H); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.events.Close)
		w.pass(t.Context())
	})
	plan := func() {
		f, err := facts.Gather(g.H)
		if err != nil {
			t.Fatal(err)
		}
		if changes, err := engine.Plan(t.Context(), g.H, withoutTunnel(gateway.Order{}, gatewaytest.MustResolve(t, gatewaytest.LineSection, f), f)); err != nil || len(changes) > 0 {
			t.Fatal(hosttest.Names(changes), err)
		}
	}
	return g, []glance{{"watch", func() { w.pass(t.Context()) }}, {"plan", plan}}
}

// TestGrowth: what a machine has beside the gateway at most doubles what it
// takes to see that there is nothing to do. That is time of the CPU, in rounds
// in which the two machines take turns: half of the rounds say so. What else
// runs on the CPU makes rounds differ, and more of them are asked then.
func TestGrowth(t *testing.T) {
	const rounds, patient, times, most = 15, 60, 3, 2.0
	empty, glancesOfEmpty := glancesOf(t, grown[0].grow)
	full, glancesOfFull := glancesOf(t, growAll)
	for i, glance := range glancesOfEmpty {
		took := func(n *hosttest.NS, once func()) (took float64) {
			n.Do(func() {
				begin := processTime(t)
				for range times {
					once()
				}
				took = float64(processTime(t)-begin) / times / 1e6
			})
			return took
		}
		var ratios []float64
		median := math.Inf(1)
		for round := 0; round < rounds || median > most && round < patient; round++ {
			ratios = append(ratios, 1/took(empty.NS, glance.once)*took(full.NS, glancesOfFull[i].once))
			slices.Sort(ratios)
			median = ratios[len(ratios)/2]
		}
		t.Logf("%s: with 10,000 routes, 2,000 addresses and 5,000 rules of others %.2f times as long, from %.2f to %.2f", glance.what, median, ratios[0], ratios[len(ratios)-1])
		if median > most {
			t.Errorf("%s takes %.2f times as long, want %v", glance.what, median, most)
		}
	}
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
