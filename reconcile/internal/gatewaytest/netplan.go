package gatewaytest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/kernel"
)

// A NetplanSet is a machine of links and netplan's files, made by chance.
type NetplanSet struct {
	*rand.Rand
	Links   []kernel.Link
	Drivers map[string]string // of links
	Files   map[string]string // by path
	anchors int
	refers  map[string]string // to definitions, which have to be in the same file or an earlier one
}

// one picks one of several.
func one[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

func (s *NetplanSet) maybe(percent int) bool { return s.IntN(100) < percent }

// NewNetplanSet makes a set. Most are such that netplan accepts them.
func NewNetplanSet(r *rand.Rand) *NetplanSet {
	s := &NetplanSet{Rand: r, Drivers: map[string]string{}, Files: map[string]string{}, refers: map[string]string{}}
	for i, name := range []string{"en1", "en2", "enp2s0", "lan", "eth0"} {
		l := kernel.Link{Name: name, Kind: "device", MAC: fmt.Sprintf("02:00:00:00:00:0%d", i)}
		if s.maybe(20) {
			l.AltNames = []string{one(r, "enx", "lan7", "ens18")}
		}
		s.Links = append(s.Links, l)
		s.Drivers[name] = one(r, "virtio_net", "e1000e")
	}
	for _, l := range []kernel.Link{{Name: "br0", Kind: "bridge"}, {Name: "bond0", Kind: "bond"}, {Name: "enp2s0.5", Kind: "vlan"}, {Name: "en1.20", Kind: "vlan"}} {
		l.MAC = "02:00:00:00:00:01" // that of a port
		s.Links = append(s.Links, l)
	}
	for range 1 + r.IntN(4) {
		p := one(r, "lib", "etc", "etc", "etc", "run") + "/netplan/" + one(r, "00-installer", "50-cloud-init", "60-lan", "99-netcfg", "99-ipoe") + ".yaml"
		s.Files[p] = s.file()
	}
	// First, because from 1.0 on netplan gives to NetworkManager what a VLAN of NetworkManager's refers to before it is
	// defined, which is left out here.
	if len(s.refers) > 0 {
		var sections []string
		for id, section := range s.refers {
			sections = append(sections, section+": {"+id+": {}}")
		}
		s.Files["lib/netplan/0.yaml"] = "network: {" + strings.Join(sections, ", ") + "}\n"
	}
	return s
}

func (s *NetplanSet) String() string {
	var b strings.Builder
	for p, text := range s.Files {
		fmt.Fprintf(&b, "-- %s --\n%s", p, text)
	}
	return b.String()
}

func (s *NetplanSet) file() string {
	var sections []string
	if s.maybe(15) {
		sections = append(sections, "renderer: "+one(s.Rand, "networkd", "networkd", "NetworkManager"))
	}
	for range 1 + s.IntN(3) {
		sections = append(sections, s.section())
	}
	s.Shuffle(len(sections), func(i, j int) { sections[i], sections[j] = sections[j], sections[i] })
	text := "network: {version: 2, " + strings.Join(sections, ",\n  ") + "}\n"
	if s.maybe(5) {
		text = "%YAML 1." + one(s.Rand, "1", "2") + "\n---\n" + text
	}
	return text
}

func (s *NetplanSet) section() string {
	section := one(s.Rand, "ethernets", "ethernets", "ethernets", "ethernets", "bridges", "bonds", "vlans")
	var all []string
	for range 1 + s.IntN(3) {
		var keys []string
		id := one(s.Rand, "en1", "en2", "enp2s0", "lan", "eth0", "zz", "en", "a.b", "a")
		switch section {
		case "ethernets":
			for range s.IntN(3) / 2 * (1 + s.IntN(2)) {
				keys = append(keys, "match: "+s.match())
			}
			if len(keys) > 0 && s.maybe(30) {
				keys = append(keys, "set-name: "+one(s.Rand, "lan", "wan", "en1"))
			}
		case "bridges":
			id = "br0"
			if s.maybe(30) {
				keys = append(keys, "interfaces: ["+s.refer("en1", "en2", "bond0")+"]")
			}
		case "bonds":
			id = "bond0"
			if s.maybe(30) {
				keys = append(keys, "interfaces: ["+s.refer("enp2s0", "lan")+"]")
			}
		case "vlans":
			id = one(s.Rand, "enp2s0.5", "en1.20")
			keys = append(keys, fmt.Sprintf("id: %d, link: %s", 1+s.IntN(9), s.refer("en1", "en2", "enp2s0", "br0", "bond0")))
		}
		all = append(all, id+": {"+strings.Join(append(keys, s.settings()...), ", ")+"}")
		if s.maybe(10) {
			all = append(all, "renderer: "+one(s.Rand, "networkd", "NetworkManager"))
		}
	}
	return section + ": {" + strings.Join(all, ",\n    ") + "}"
}

// refer picks the ID of another definition.
func (s *NetplanSet) refer(all ...string) string {
	id := one(s.Rand, all...)
	s.refers[id] = cmp.Or(map[string]string{"br0": "bridges", "bond0": "bonds"}[id], "ethernets")
	return id
}

func (s *NetplanSet) match() string {
	var keys []string
	for range s.IntN(3) {
		keys = append(keys, one(s.Rand,
			"name: "+one(s.Rand, "en1", "'en*'", "'e[!n]*'", "'enp2s0*'", "'?an'", "lan7", "'*'"),
			fmt.Sprintf("macaddress: '02:00:00:00:00:0%d'", s.IntN(6)),
			"driver: "+one(s.Rand, "virtio_net", "'e1000*'", "[virtio_net, ixgbe]")))
	}
	return "{" + strings.Join(keys, ", ") + "}"
}

// settings are keys of a definition that any section has. Some are there twice.
func (s *NetplanSet) settings() (all []string) {
	for range s.IntN(5) {
		all = append(all, one(s.Rand,
			"addresses: "+s.addresses(),
			"addresses: "+s.addresses(),
			"accept-ra: "+one(s.Rand, "true", "false", "yes", "No", "off", "'y'"),
			"dhcp4: "+one(s.Rand, "true", "false"),
			"gateway4: 192.0.2.1",
			"routes: [{to: "+one(s.Rand, "default", "0.0.0.0/0", "198.51.100.0/24")+", via: 192.0.2.1"+one(s.Rand, "", ", metric: 0", ", metric: 100", ", table: 7", ", table: 254")+"}]",
			"routes: [{to: "+one(s.Rand, "default", "'::/0'")+", via: 'fe80::1'}]",
			"link-local: []",
			"renderer: "+one(s.Rand, "networkd", "networkd", "NetworkManager"),
			"optional: true"))
	}
	return all
}

func (s *NetplanSet) addresses() string {
	var all []string
	for range s.IntN(4) {
		all = append(all, one(s.Rand, "192.0.2.1/24", "192.0.2.2/24", "'2001:db8::1/64'", "'2001:DB8:0::2/64'", "{'2001:db8::3/128': {lifetime: 0}}", "'192.0.2.9/24': {label: 'a'}"))
	}
	if s.maybe(10) {
		s.anchors++
		return fmt.Sprintf("&a%d [%s], addresses: *a%d", s.anchors, strings.Join(all, ", "), s.anchors)
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// Write writes the files below a directory, in the place of whatever netplan's directories have there.
func (s *NetplanSet) Write(t testing.TB, dir string) {
	t.Helper()
	for _, sub := range []string{"etc", "run", "lib"} {
		if err := os.RemoveAll(filepath.Join(dir, sub)); err != nil {
			t.Fatal(err)
		}
	}
	for p, text := range s.Files {
		if err := os.MkdirAll(filepath.Join(dir, path.Dir(p)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, p), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Takes is the .network file below the directory by which networkd configures a link; "" if there is none.
func (s *NetplanSet) Takes(t testing.TB, dir string, l kernel.Link) string {
	t.Helper()
	networks, err := filepath.Glob(filepath.Join(dir, "run/systemd/network/*.network"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(networks)
	for _, p := range networks {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if s.takes(string(text), l) {
			return path.Base(p)
		}
	}
	return ""
}

// takes is whether networkd gives the link to a .network file.
func (s *NetplanSet) takes(text string, l kernel.Link) bool {
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
				fits, _ := path.Match(pattern, s.Drivers[l.Name])
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
