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
	got := fmt.Sprint(netplan.Definitions(files, links))
	const want = "[{ethernets lan [eth0] [192.168.1.1/24 fd00::1/64] NetworkManager} {vlans eth0.20 [eth0.20] [] NetworkManager}]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := netplan.Renderer(files); got != netplan.NetworkManager {
		t.Errorf("renderer %q", got)
	}
}
