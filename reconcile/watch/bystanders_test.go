package watch

import (
	"maps"
	"slices"
	"testing"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/resource"
	"mape-netplan/schema"
)

// TestBystanders: whatever may become the WAN, the LAN or the tunnel is none.
func TestBystanders(t *testing.T) {
	metric := 100
	f := facts.Facts{
		Links: []kernel.Link{
			{Name: "lo", Index: 1, Loopback: true},
			{Name: "eth0", Index: 2},                        // netplan's
			{Name: "eth1", Index: 3, NetworkFile: "a file"}, // networkd's
			{Name: "eth2", Index: 4, Default6: &metric},
			{Name: "eth3", Index: 5, Default4: &metric},
			{Name: "eth4", Index: 6}, // the section's
			{Name: "eth5", Index: 7}, // likewise
			{Name: "mape0", Index: 8},
			{Name: "eth6", Index: 9}, // has the CE address
			{Name: "docker0", Index: 10},
		},
		Definitions: []netplan.Definition{{Section: "ethernets", ID: "eth0", Interfaces: []string{"eth0"}}},
	}
	w := Watch{
		section: &schema.Config{WAN: "eth4", LAN: []string{"eth5"}, Tunnel: "mape0"},
		want:    []engine.Resource{resource.Address{Link: "eth6"}},
	}
	if got := slices.Sorted(maps.Keys(w.bystanders(f))); !slices.Equal(got, []uint32{1, 10}) {
		t.Errorf("got %v, want those of lo and docker0", got)
	}
}
