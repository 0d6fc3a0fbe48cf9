package netplan_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
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
						m := newSet(rand.New(rand.NewPCG(uint64(seed), 1)))
						if ok, wrong := m.compare(t, g, dir); wrong != "" {
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

// A set is links and netplan's files. Those in the same directory and of the same name as another are left out.
type set struct {
	*rand.Rand
	links   []kernel.Link
	drivers map[string]string // of links
	files   map[string]string // by path
	anchors int
	refers  map[string]string // to definitions, which have to be in the same file or an earlier one
}

// one picks one of several.
func one[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

func (m *set) maybe(percent int) bool { return m.IntN(100) < percent }

func newSet(r *rand.Rand) *set {
	m := &set{Rand: r, drivers: map[string]string{}, files: map[string]string{}, refers: map[string]string{}}
	for i, name := range []string{"en1", "en2", "enp2s0", "lan", "eth0"} {
		l := kernel.Link{Name: name, Kind: "device", MAC: fmt.Sprintf("02:00:00:00:00:0%d", i)}
		if m.maybe(20) {
			l.AltNames = []string{one(r, "enx", "lan7", "ens18")}
		}
		m.links = append(m.links, l)
		m.drivers[name] = one(r, "virtio_net", "e1000e")
	}
	for _, l := range []kernel.Link{{Name: "br0", Kind: "bridge"}, {Name: "bond0", Kind: "bond"}, {Name: "enp2s0.5", Kind: "vlan"}, {Name: "en1.20", Kind: "vlan"}} {
		l.MAC = "02:00:00:00:00:01" // that of a port
		m.links = append(m.links, l)
	}
	for range 1 + r.IntN(4) {
		p := one(r, "lib", "etc", "etc", "etc", "run") + "/netplan/" + one(r, "00-installer", "50-cloud-init", "60-lan", "99-netcfg", "99-ipoe") + ".yaml"
		m.files[p] = m.file()
	}
	// First, because from 1.0 on netplan gives to NetworkManager what a VLAN of NetworkManager's refers to before it is
	// defined, which is left out here.
	if len(m.refers) > 0 {
		var sections []string
		for id, section := range m.refers {
			sections = append(sections, section+": {"+id+": {}}")
		}
		m.files["lib/netplan/0.yaml"] = "network: {" + strings.Join(sections, ", ") + "}\n"
	}
	return m
}

func (m *set) String() string {
	var b strings.Builder
	for p, text := range m.files {
		fmt.Fprintf(&b, "-- %s --\n%s", p, text)
	}
	return b.String()
}

func (m *set) file() string {
	var sections []string
	if m.maybe(15) {
		sections = append(sections, "renderer: "+one(m.Rand, "networkd", "networkd", "NetworkManager"))
	}
	for range 1 + m.IntN(3) {
		sections = append(sections, m.section())
	}
	m.Shuffle(len(sections), func(i, j int) { sections[i], sections[j] = sections[j], sections[i] })
	text := "network: {version: 2, " + strings.Join(sections, ",\n  ") + "}\n"
	if m.maybe(5) {
		text = "%YAML 1." + one(m.Rand, "1", "2") + "\n---\n" + text
	}
	return text
}

func (m *set) section() string {
	section := one(m.Rand, "ethernets", "ethernets", "ethernets", "ethernets", "bridges", "bonds", "vlans")
	var all []string
	for range 1 + m.IntN(3) {
		var keys []string
		id := one(m.Rand, "en1", "en2", "enp2s0", "lan", "eth0", "zz", "en", "a.b", "a")
		switch section {
		case "ethernets":
			for range m.IntN(3) / 2 * (1 + m.IntN(2)) {
				keys = append(keys, "match: "+m.match())
			}
			if len(keys) > 0 && m.maybe(30) {
				keys = append(keys, "set-name: "+one(m.Rand, "lan", "wan", "en1"))
			}
		case "bridges":
			id = "br0"
			if m.maybe(30) {
				keys = append(keys, "interfaces: ["+m.refer("en1", "en2", "bond0")+"]")
			}
		case "bonds":
			id = "bond0"
			if m.maybe(30) {
				keys = append(keys, "interfaces: ["+m.refer("enp2s0", "lan")+"]")
			}
		case "vlans":
			id = one(m.Rand, "enp2s0.5", "en1.20")
			keys = append(keys, fmt.Sprintf("id: %d, link: %s", 1+m.IntN(9), m.refer("en1", "en2", "enp2s0", "br0", "bond0")))
		}
		all = append(all, id+": {"+strings.Join(append(keys, m.settings()...), ", ")+"}")
		if m.maybe(10) {
			all = append(all, "renderer: "+one(m.Rand, "networkd", "NetworkManager"))
		}
	}
	return section + ": {" + strings.Join(all, ",\n    ") + "}"
}

// refer picks the ID of another definition.
func (m *set) refer(all ...string) string {
	id := one(m.Rand, all...)
	m.refers[id] = cmp.Or(map[string]string{"br0": "bridges", "bond0": "bonds"}[id], "ethernets")
	return id
}

func (m *set) match() string {
	var keys []string
	for range m.IntN(3) {
		keys = append(keys, one(m.Rand,
			"name: "+one(m.Rand, "en1", "'en*'", "'e[!n]*'", "'enp2s0*'", "'?an'", "lan7", "'*'"),
			fmt.Sprintf("macaddress: '02:00:00:00:00:0%d'", m.IntN(6)),
			"driver: "+one(m.Rand, "virtio_net", "'e1000*'", "[virtio_net, ixgbe]")))
	}
	return "{" + strings.Join(keys, ", ") + "}"
}

// settings are keys of a definition that any section has. Some are there twice.
func (m *set) settings() (all []string) {
	for range m.IntN(5) {
		all = append(all, one(m.Rand,
			"addresses: "+m.addresses(),
			"addresses: "+m.addresses(),
			"accept-ra: "+one(m.Rand, "true", "false", "yes", "No", "off", "'y'"),
			"dhcp4: "+one(m.Rand, "true", "false"),
			"gateway4: 192.0.2.1",
			"routes: [{to: "+one(m.Rand, "default", "0.0.0.0/0", "198.51.100.0/24")+", via: 192.0.2.1"+one(m.Rand, "", ", metric: 0", ", metric: 100", ", table: 7", ", table: 254")+"}]",
			"routes: [{to: "+one(m.Rand, "default", "'::/0'")+", via: 'fe80::1'}]",
			"link-local: []",
			"renderer: "+one(m.Rand, "networkd", "networkd", "NetworkManager"),
			"optional: true"))
	}
	return all
}

func (m *set) addresses() string {
	var all []string
	for range m.IntN(4) {
		all = append(all, one(m.Rand, "192.0.2.1/24", "192.0.2.2/24", "'2001:db8::1/64'", "'2001:DB8:0::2/64'", "{'2001:db8::3/128': {lifetime: 0}}", "'192.0.2.9/24': {label: 'a'}"))
	}
	if m.maybe(10) {
		m.anchors++
		return fmt.Sprintf("&a%d [%s], addresses: *a%d", m.anchors, strings.Join(all, ", "), m.anchors)
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// compare has the generator and us read the files below dir. ok: the generator accepts them. wrong is what we read
// otherwise than it.
func (m *set) compare(t *testing.T, g hosttest.Generator, dir string) (ok bool, wrong string) {
	for _, sub := range []string{"etc", "run", "lib"} {
		if err := os.RemoveAll(filepath.Join(dir, sub)); err != nil {
			t.Fatal(err)
		}
	}
	for p, text := range m.files {
		if err := os.MkdirAll(filepath.Join(dir, path.Dir(p)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, p), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
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
	definitions := netplan.Definitions(files, m.links)
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
	networks, _ := filepath.Glob(filepath.Join(dir, "run/systemd/network/*.network"))
	slices.Sort(networks)
	for _, l := range m.links {
		want := ""
		for _, p := range networks {
			text, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			if m.takes(string(text), l) {
				want = path.Base(p)
				break
			}
		}
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

// takes is whether networkd gives the link to a .network file.
func (m *set) takes(text string, l kernel.Link) bool {
	match, _, _ := strings.Cut(text, "\n\n")
	any := false
	for line := range strings.Lines(match) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			continue
		}
		any = true
		var is bool
		switch key {
		case "Name":
			is = l.Matches(value)
		case "PermanentMACAddress":
			is = l.Kind == "device" && l.MAC == value
		case "Driver":
			for pattern := range strings.FieldsSeq(value) {
				fits, _ := path.Match(pattern, m.drivers[l.Name])
				is = is || fits
			}
		default:
			panic(line)
		}
		if !is {
			return false
		}
	}
	return any
}
