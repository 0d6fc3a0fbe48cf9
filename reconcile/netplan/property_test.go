package netplan_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/netplan"
)

// TestAsNetplan holds our reading of sets of files against what netplan's generator makes of the same files: which
// definition configures which link, its addresses, its IPv4 default routes, its accept-ra and its renderer.
func TestAsNetplan(t *testing.T) {
	sets := 10_000
	if testing.Short() {
		sets = 100
	}
	for _, g := range hosttest.Generators(t) {
		t.Run(g.Release, func(t *testing.T) {
			t.Parallel()
			const workers = 2
			var all sync.WaitGroup
			accepted := make([]int, workers)
			for w := range workers {
				all.Go(func() {
					dir := t.TempDir()
					for seed := w; seed < sets && !t.Failed(); seed += workers {
						m := gatewaytest.NewNetplanSet(rand.New(rand.NewPCG(uint64(seed), 1)))
						if ok, wrong := compare(t, m, g, dir); wrong != "" {
							t.Errorf("set %d: %s\n%s", seed, wrong, m)
						} else if ok {
							accepted[w]++
						}
					}
				})
			}
			all.Wait()
			if n := accepted[0] + accepted[1]; n < sets/2 {
				t.Errorf("netplan accepted only %d of %d sets", n, sets)
			}
		})
	}
}

// compare has the generator and us read the files below dir. ok: the generator accepts them. wrong is what we read
// otherwise than it.
func compare(t *testing.T, m *gatewaytest.NetplanSet, g hosttest.Generator, dir string) (ok bool, wrong string) {
	m.Write(t, dir)
	refused := g.Run(dir)
	h, err := host.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Root.Close()
	files, err := netplan.ReadFiles(h)
	if refused != nil {
		return false, ""
	}
	if err != nil {
		return false, "netplan reads what we do not: " + err.Error()
	}
	definitions := netplan.Definitions(files, m.Links)
	for _, d := range definitions {
		text, err := os.ReadFile(filepath.Join(dir, "run/systemd/network", d.Network()))
		if byNM := d.Renderer == netplan.NetworkManager; byNM != os.IsNotExist(err) {
			return false, fmt.Sprintf("%s: renderer %q, %v", d.ID, d.Renderer, err)
		} else if byNM {
			continue
		}
		if got, want := settingsOf(d), generated(string(text)); got != want {
			return false, fmt.Sprintf("%s:\n%s\nnetplan\n%s\n%s", d.ID, got, want, text)
		}
	}
	for _, l := range m.Links {
		want := m.Takes(t, dir, l)
		got := ""
		d, sure := netplan.Of(definitions, l)
		if d != nil && d.Renderer != netplan.NetworkManager {
			got = d.Network()
		}
		if sure && got != want || !sure && d.Match.Driver == "" {
			return false, fmt.Sprintf("%s: %q, networkd %q", l.Name, got, want)
		}
	}
	return true, ""
}

// settingsOf is a definition as generated reads it.
func settingsOf(d netplan.Definition) string {
	var addresses []string
	for _, a := range d.Addresses {
		addresses = append(addresses, a.String())
	}
	slices.Sort(addresses)
	route, ra := "none", "unset"
	if d.Default4 != nil {
		route = strconv.Itoa(*d.Default4)
	}
	if d.AcceptRA != nil {
		ra = map[bool]string{true: "yes", false: "no"}[*d.AcceptRA]
	}
	return fmt.Sprintf("addresses %v, default route %s, accept-ra %s", addresses, route, ra)
}

// generated reads a .network file of netplan's.
func generated(text string) string {
	var addresses []string
	lowest, ra := -1, "unset"
	route := func(metric int) {
		if lowest < 0 || metric < lowest {
			lowest = metric
		}
	}
	for section := range strings.SplitSeq(text, "\n\n") {
		has := func(line string) bool { return slices.Contains(strings.Split(section, "\n"), line) }
		metric := 0
		for line := range strings.Lines(section) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch name {
			case "Address":
				if a := netip.MustParsePrefix(value).String(); !slices.Contains(addresses, a) {
					addresses = append(addresses, a)
				}
			case "IPv6AcceptRA":
				ra = value
			case "Metric":
				metric, _ = strconv.Atoi(value)
			}
		}
		if strings.HasPrefix(section, "[Network]") && has("Gateway=192.0.2.1") {
			route(0)
		}
		if strings.HasPrefix(section, "[Route]") && has("Destination=0.0.0.0/0") && !has("Table=7") {
			route(metric)
		}
	}
	slices.Sort(addresses)
	if lowest < 0 {
		return fmt.Sprintf("addresses %v, default route none, accept-ra %s", addresses, ra)
	}
	return fmt.Sprintf("addresses %v, default route %d, accept-ra %s", addresses, lowest, ra)
}
