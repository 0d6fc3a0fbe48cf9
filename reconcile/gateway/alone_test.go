package gateway_test

import (
	"maps"
	"math/rand/v2"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"gopkg.in/yaml.v3"

	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/netplan"
)

// TestOursAlone: whatever becomes of the other netplan files after a run, netplan accepts with ours what it accepts
// without it, and no interface but those of the gateway gets another configuration.
func TestOursAlone(t *testing.T) {
	sets := 800
	if testing.Short() {
		sets = 60
	}
	for _, g := range hosttest.Generators(t) {
		t.Run(g.Release, func(t *testing.T) {
			t.Parallel()
			dir, tried := t.TempDir(), 0
			for seed := 0; seed < sets && !t.Failed(); seed++ {
				m := gatewaytest.NewNetplanSet(rand.New(rand.NewPCG(uint64(seed), 2)))
				before := m.String()
				links := slices.Clone(m.Links)
				m.Shuffle(len(links), func(i, j int) { links[i], links[j] = links[j], links[i] })
				f := gatewaytest.FactsOf(t, before, m.Links)
				f.Netplan = true
				gw, err := gatewaytest.Resolve(gatewaytest.SectionOf(t, "{prefix: '2400:4050:5c71:af00::/56', wan: "+links[0].Name+", lan: "+links[1].Name+"}"), f)
				if err != nil {
					continue
				}
				for range 4 {
					if alone(t, g, m, gw, dir) {
						tried++
					}
					change(t, m)
				}
			}
			if tried < sets/4 {
				t.Errorf("only %d of %d sets were tried", tried, sets)
			}
		})
	}
}

// alone compares what the generator makes of the files with and without those of a gateway. It reports whether netplan
// accepts them.
func alone(t *testing.T, g hosttest.Generator, m *gatewaytest.NetplanSet, gw *gateway.Gateway, dir string) bool {
	m.Write(t, dir)
	if g.Run(dir) != nil {
		return false
	}
	without := map[string]string{}
	for _, l := range m.Links {
		without[l.Name] = m.Takes(t, dir, l)
	}
	m.Write(t, dir)
	hosttest.WriteFile(t, filepath.Join(dir, netplan.Path), gw.NetplanText())
	if err := g.Run(dir); err != nil {
		t.Errorf("%v\n%s\n%s", err, m, gw.NetplanText())
		return true
	}
	for _, l := range m.Links {
		ours := slices.ContainsFunc(gw.LinkConfigs, func(c gateway.LinkConfig) bool { return c.Link == l.Name })
		if with := m.Takes(t, dir, l); with != without[l.Name] && !ours {
			t.Errorf("%s: %q, without ours %q\n%s\n%s", l.Name, with, without[l.Name], m, gw.NetplanText())
		}
	}
	return true
}

// change renames a file, removes one or takes a definition out of it.
func change(t *testing.T, m *gatewaytest.NetplanSet) {
	t.Helper()
	paths := slices.Sorted(maps.Keys(m.Files))
	if len(paths) == 0 {
		return
	}
	p := paths[m.IntN(len(paths))]
	text := m.Files[p]
	switch m.IntN(3) {
	case 0:
		delete(m.Files, p)
		m.Files[path.Join(path.Dir(p), []string{"05-a", "98-b", "99-z"}[m.IntN(3)]+".yaml")] = text
	case 1:
		delete(m.Files, p)
	case 2:
		var document yaml.Node
		if err := yaml.Unmarshal([]byte(text), &document); err != nil {
			return // %YAML 1.2
		}
		network := document.Content[0].Content[1]
		section := network.Content[1+2*m.IntN(len(network.Content)/2)]
		if len(section.Content) == 0 {
			return
		}
		i := 2 * m.IntN(len(section.Content)/2)
		section.Content = slices.Delete(section.Content, i, i+2)
		data, err := yaml.Marshal(&document)
		if err != nil {
			t.Fatal(err)
		}
		m.Files[p] = string(data)
	}
}
