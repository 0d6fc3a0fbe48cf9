package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/schema"
)

// A growth is what a machine has more of than a gateway needs.
type growth struct {
	name string
	n    int
	grow func(t testing.TB, g *gatewaytest.Machine, n int)
	// What each costs a look, in allocations at the most: "watch" is a pass of one, "plan" what status and an apply do.
	// Both read the addresses, and of the routes only the default ones; a plan reads the rules of others, a pass does not.
	watch, plan float64
}

var growths = []growth{
	{"routes", 10_000, func(t testing.TB, g *gatewaytest.Machine, n int) {
		batch(g, t, "ip", "-batch", n, "route add 172.%[3]d.%[1]d.%[2]d/32 dev eth0 proto bgp")
	}, 0, 0},
	{"addresses", 2_000, func(t testing.TB, g *gatewaytest.Machine, n int) {
		batch(g, t, "ip", "-batch", n, "address add 10.77.%[1]d.%[2]d/32 dev lo")
	}, 0.1, 0.1},
	{"rules", 4_000, func(t testing.TB, g *gatewaytest.Machine, n int) {
		g.Exec(t, "nft", "add table ip others; add chain ip others f { type filter hook forward priority 0; }")
		batch(g, t, "nft", "-f", n, "add rule ip others f iifname \"eth9\" ip saddr 10.%[1]d.%[2]d.0/24 tcp dport 80 counter accept")
	}, 0, 25},
	// Each is compared with the addresses that the machine has.
	{"rules about addresses", 1_000, func(t testing.TB, g *gatewaytest.Machine, n int) {
		g.Exec(t, "nft", "add table ip others; add chain ip others o { type filter hook output priority 0; }")
		batch(g, t, "nft", "-f", n, "add rule ip others o ip saddr 10.77.%[1]d.%[2]d tcp dport 80 counter accept")
	}, 0, 25},
}

// growAll is 10,000 routes, 2,000 addresses and 5,000 rules of others.
func growAll(t testing.TB, g *gatewaytest.Machine) {
	for _, m := range growths {
		m.grow(t, g, m.n)
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

// looksOf makes a gateway that is in sync, and returns a pass of its watch and the plan of a command.
func looksOf(t testing.TB) (g *gatewaytest.Machine, w *Watch, watch, plan func()) {
	t.Helper()
	g = gatewaytest.NewMachine(t)
	g.Exec(t, "ip", "route", "add", "default", "via", "fe80::1", "dev", "eth1")
	g.Converge(t, g.StandIn(t))
	w = &Watch{
		Host: g.H, Section: func() (*schema.Config, []byte, error) {
			return gatewaytest.SectionOf(t, gatewaytest.LineSection), []byte("mape: " + gatewaytest.LineSection), nil
		},
		Log: func(p Priority, text string) {
			if p < Notice && !strings.Contains(text, "systemd-networkd is not running") {
				t.Error(text)
			}
		},
		Notify: func(string) {}, Compile: withoutTunnel,
	}
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.events.Close)
	watch = func() {
		w.pass(t.Context())
		if w.changed {
			t.Error("something has changed")
		}
	}
	g.Do(func() { w.pass(t.Context()) })
	plan = func() {
		f, err := facts.Gather(g.H)
		if err != nil {
			t.Fatal(err)
		}
		if changes, err := engine.Plan(t.Context(), g.H, withoutTunnel(gateway.Transition{}, gatewaytest.MustResolve(t, gatewaytest.LineSection, f), f)); err != nil || len(changes) > 0 {
			t.Fatal(hosttest.Names(changes), err)
		}
	}
	return g, w, watch, plan
}

// TestGrowth: what a machine has beside the gateway costs a look no more than growths has. Allocations are counted: there
// is one at least for each thing that is made of what the kernel answers, and what else the machine does changes none.
func TestGrowth(t *testing.T) {
	g, w, watch, plan := looksOf(t)
	w.events.Close() // It would count the events of what grows.
	count := func() (watched, planned float64) {
		g.Do(func() { watched, planned = testing.AllocsPerRun(3, watch), testing.AllocsPerRun(3, plan) })
		return watched, planned
	}
	watched, planned := count()
	t.Logf("a pass makes %.0f allocations, a plan %.0f", watched, planned)
	for _, m := range growths {
		m.grow(t, g, m.n)
		nowWatched, nowPlanned := count()
		for _, look := range []struct {
			what              string
			before, now, each float64
		}{{"a pass", watched, nowWatched, m.watch}, {"a plan", planned, nowPlanned, m.plan}} {
			t.Logf("%s: %d %s: %.0f allocations more", look.what, m.n, m.name, look.now-look.before)
			// A few more or less: slices grow, and a pool has a buffer or not.
			if most := look.before + 500 + look.each*float64(m.n); look.now > most {
				t.Errorf("%s makes %.0f allocations with %d %s and %.0f without, want %.0f at the most", look.what, look.now, m.n, m.name, look.before, most)
			}
		}
		watched, planned = nowWatched, nowPlanned
	}
}
