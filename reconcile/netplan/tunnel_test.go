package netplan_test

import (
	"net/netip"
	"slices"
	"testing"

	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/netplan"
)

// TestReadBack holds that our file is read as it was rendered, as far as a later run needs it.
func TestReadBack(t *testing.T) {
	ce, br := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8:ffff::1")
	address := netip.PrefixFrom(ce, 128)
	text := netplan.Render(kernel.Tunnel{Link: "mape0", Local: ce, Remote: br, HopLimit: 64, MTU: 1460}, false, []netplan.Addition{
		{Section: "ethernets", ID: "line", Address: address}, {Section: "bridges", ID: "home", NoRA: true},
	})
	tunnels, additions := netplan.ReadBack([]byte(text))
	if want := []kernel.Tunnel{{Link: "mape0", Local: ce, MTU: 1460}}; !slices.Equal(tunnels, want) {
		t.Errorf("%+v, want %+v", tunnels, want)
	}
	if want := []netplan.Addition{{Section: "ethernets", ID: "line", Address: address}}; !slices.Equal(additions, want) {
		t.Errorf("%+v, want %+v", additions, want)
	}
	if tunnels, additions := netplan.ReadBack([]byte("network: [\n")); tunnels != nil || additions != nil {
		t.Errorf("of no YAML: %+v, %+v", tunnels, additions)
	}
}
