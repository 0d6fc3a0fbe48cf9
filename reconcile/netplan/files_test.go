package netplan_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/netplan"
)

const machine = `
-- lib/netplan/10-a.yaml --
network: {ethernets: {shadowed: {}}}
-- etc/netplan/10-a.yaml --
network:
  renderer: NetworkManager
  ethernets:
    lan: {match: {macaddress: "02:00:00:00:00:01"}, addresses: [192.168.1.1/24]}
-- run/netplan/20-b.yaml --
network:
  ethernets:
    renderer: networkd
    lan: {addresses: ["fd00::1/64": {lifetime: 0}]}
  vlans:
    eth0.20: {id: 20, link: eth0}
-- etc/netplan/99-ipoe-gw.yaml --
network: {tunnels: {mape0: {mode: ipip6}}}
-- etc/netplan/30-c.yaml --
network: {wifis: {wlan0: {password: hush
`

// TestReadFiles holds the order of merging, that ours is left out, and that an error has the place and no content.
func TestReadFiles(t *testing.T) {
	h, _ := hosttest.HostOf(t, machine)
	files, err := netplan.ReadFiles(h)
	var paths []string
	for _, f := range files {
		paths = append(paths, f.Path)
	}
	if want := []string{"/etc/netplan/10-a.yaml", "/run/netplan/20-b.yaml"}; !slices.Equal(paths, want) {
		t.Errorf("files %v, want %v", paths, want)
	}
	if err == nil || !strings.HasPrefix(err.Error(), "/etc/netplan/30-c.yaml: is not a netplan file, near line ") || strings.Contains(err.Error(), "hush") {
		t.Errorf("error %v", err)
	}
	if !errors.As(err, new(netplan.Broken)) {
		t.Errorf("%v is not Broken", err)
	}
}

// TestDefinitions merges files as netplan does.
func TestDefinitions(t *testing.T) {
	h, _ := hosttest.HostOf(t, machine)
	files, _ := netplan.ReadFiles(h)
	links := []kernel.Link{
		{Name: "eth0", Kind: "device", MAC: "02:00:00:00:00:01"},
		{Name: "eth0.20", Kind: "vlan", MAC: "02:00:00:00:00:01"}, // the MAC address of its port
	}
	got := text(netplan.Definitions(files, links))
	const want = "{vlans eth0.20 [eth0.20] [] NetworkManager}{ethernets lan [eth0] [192.168.1.1/24 fd00::1/64] NetworkManager}"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := netplan.Renderer(files); got != netplan.NetworkManager {
		t.Errorf("renderer %q", got)
	}
}

// TestRetyped: an ID in two sections, which netplan refuses.
func TestRetyped(t *testing.T) {
	const first = "-- etc/netplan/a.yaml --\nnetwork: {ethernets: {br0: {}}}\n"
	for name, archive := range map[string]string{
		"another file":  first + "-- etc/netplan/b.yaml --\nnetwork: {bridges: {br0: {}}}\n",
		"the same file": "-- etc/netplan/b.yaml --\nnetwork: {ethernets: {br0: {}}, bridges: {br0: {}}}\n",
	} {
		h, _ := hosttest.HostOf(t, archive)
		if _, err := netplan.ReadFiles(h); err == nil || !strings.HasPrefix(err.Error(), "/etc/netplan/b.yaml: is not a netplan file: network.bridges.br0 is also in ethernets; ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// text is what the files say of definitions, in short.
func text(all []netplan.Definition) string {
	var b strings.Builder
	for _, d := range all {
		fmt.Fprintf(&b, "{%s %s %v %v %s}", d.Section, d.ID, d.Interfaces, d.Addresses, d.Renderer)
	}
	return b.String()
}

// TestDuplicates merges what a file has twice, as netplan does: the last scalar wins, lists append, mappings merge. Aliases
// are followed.
func TestDuplicates(t *testing.T) {
	links := []kernel.Link{{Name: "eth0", Kind: "device", MAC: "02:00:00:00:00:01"}, {Name: "eth1", Kind: "device", MAC: "02:00:00:00:00:02"}}
	for _, test := range []struct{ what, file, renderer, want string }{
		{"a key", "{ethernets: {eth0: {renderer: networkd, renderer: NetworkManager, addresses: [192.0.2.1/24], addresses: [192.0.2.2/24]}}}",
			"", "{ethernets eth0 [eth0] [192.0.2.1/24 192.0.2.2/24] NetworkManager}"},
		{"a key that is not read", "{ethernets: {eth0: {dhcp4: true, dhcp4: false}}}", "", "{ethernets eth0 [eth0] [] }"},
		{"a key deep below", "{wifis: {wlan0: {access-points: {a: {}, a: {}}}}}", "", "{wifis wlan0 [wlan0] [] }"},
		{"an ID", "{ethernets: {eth0: {addresses: [192.0.2.1/24]}, eth0: {renderer: NetworkManager}}}", "", "{ethernets eth0 [eth0] [192.0.2.1/24] NetworkManager}"},
		{"a section", "{ethernets: {eth0: {}}, ethernets: {eth1: {}}}", "", "{ethernets eth0 [eth0] [] }{ethernets eth1 [eth1] [] }"},
		{"the renderer", "{renderer: networkd, renderer: NetworkManager, ethernets: {eth0: {}}}", "NetworkManager", "{ethernets eth0 [eth0] [] NetworkManager}"},
		{"a section's renderer", "{ethernets: {renderer: networkd, renderer: NetworkManager, eth0: {}}}", "", "{ethernets eth0 [eth0] [] NetworkManager}"},
		{"match", "{ethernets: {line: {match: {macaddress: '02:00:00:00:00:02'}, match: {name: 'eth*'}}}}", "", "{ethernets line [eth1] [] }"},
		{"network", "{ethernets: {eth0: {}}}\nnetwork: {ethernets: {eth1: {}}}", "", "{ethernets eth0 [eth0] [] }{ethernets eth1 [eth1] [] }"},
		{"an alias", "{ethernets: {eth0: &a {addresses: [192.0.2.1/24]}, eth1: *a}}", "", "{ethernets eth0 [eth0] [192.0.2.1/24] }{ethernets eth1 [eth1] [192.0.2.1/24] }"},
		{"no definition", "{version: 2, renderer: ~, openvswitch: {ports: [[a, b]]}, bridges: ~, ethernets: {eth0: ~}}", "", "{ethernets eth0 [eth0] [] }"},
	} {
		h, _ := hosttest.HostOf(t, "-- etc/netplan/a.yaml --\nnetwork: "+test.file+"\n")
		files, err := netplan.ReadFiles(h)
		got := text(netplan.Definitions(files, links))
		if err != nil || got != test.want || netplan.Renderer(files) != test.renderer {
			t.Errorf("%s twice: %v\n%s\nwant\n%s", test.what, err, got, test.want)
		}
	}
}

// TestRefused: what netplan refuses makes the file one that cannot be read, and names the key.
func TestRefused(t *testing.T) {
	for file, want := range map[string]string{
		"[]":                          "network must be a mapping",
		"{ethernets: [eth0]}":         "network.ethernets must be a mapping",
		"{ethernets: {eth0: 5}}":      "network.ethernets.eth0 must be a mapping",
		"{ethernets: {eth0: [hush]}}": "network.ethernets.eth0 must be a mapping",
		"{ethernets: {eth0: {set-name: [hush]}}}":          "network.ethernets.eth0.set-name must be a single value",
		"{ethernets: {eth0: {addresses: hush}}}":           "network.ethernets.eth0.addresses must be a list",
		"{ethernets: {eth0: {match: hush}}}":               "network.ethernets.eth0.match must be a mapping",
		"{ethernets: {eth0: {match: {name: [hush]}}}}":     "network.ethernets.eth0.match.name must be a single value",
		"{ethernets: {[hush]: {}}}":                        "network.ethernets must be a mapping with names for keys",
		"{renderer: {hush: hush}}":                         "network.renderer must be a single value",
		"{ethernets: {renderer: [hush]}}":                  "network.ethernets.renderer must be a single value",
		"{ethernets: {eth0: &a {match: {name: {a: *a}}}}}": "network.ethernets.eth0.match.name must be a single value",
	} {
		h, _ := hosttest.HostOf(t, "-- etc/netplan/a.yaml --\nnetwork: "+file+"\n")
		files, err := netplan.ReadFiles(h)
		want = "/etc/netplan/a.yaml: is not a netplan file: " + want + ", line 1; run "
		if len(files) > 0 || err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hush") || !errors.As(err, new(netplan.Broken)) {
			t.Errorf("%s: %v\nwant %s", file, err, want)
		}
	}
}

// TestOf: what networkd says goes before any reasoning, and its own files before netplan's that sort after them.
func TestOf(t *testing.T) {
	h, _ := hosttest.HostOf(t, `-- etc/netplan/a.yaml --
network: {ethernets: {all: {match: {name: "e*"}}, eth0: {}, nm: {renderer: NetworkManager, match: {name: "e*"}}, home/lan: {match: {driver: x}}, mac: {match: {macaddress: "02:00:00:00:00:01"}}}}
`)
	files, err := netplan.ReadFiles(h)
	if err != nil {
		t.Fatal(err)
	}
	all := netplan.Definitions(files, nil)
	for _, test := range []struct {
		link kernel.Link
		want string
		sure bool
	}{
		{kernel.Link{Name: "eth0"}, "all", true},
		{kernel.Link{Name: "eth0", NetworkFile: "/run/systemd/network/10-netplan-eth0.network"}, "eth0", true},
		{kernel.Link{Name: "eth0", NetworkFile: "/run/systemd/network/10-netplan-home%2Flan.network"}, "home/lan", true},
		{kernel.Link{Name: "eth0", NetworkFile: "/run/systemd/network/10-netplan-gone.network"}, "all", true},
		{kernel.Link{Name: "eth0", NetworkFile: "/etc/systemd/network/05-all.network"}, "", true},
		{kernel.Link{Name: "eth0", NetworkFile: "/etc/systemd/network/99-all.network"}, "all", true},
		{kernel.Link{Name: "wan", Kind: "device", MAC: "02:00:00:00:00:01"}, "home/lan", false},
		{kernel.Link{Name: "wan", AltNames: []string{"enx"}}, "all", true},
	} {
		got := ""
		d, sure := netplan.Of(all, test.link)
		if d != nil {
			got = d.ID
		}
		if got != test.want || sure != test.sure {
			t.Errorf("%+v: %q, %v; want %q, %v", test.link, got, sure, test.want, test.sure)
		}
	}
}
