package gateway_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/sysctld"
)

// TestReadBack: what our files say is read back as it was written, as far as a later run has to know it.
func TestReadBack(t *testing.T) {
	ce, br := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8:ffff::1")
	address := netip.PrefixFrom(ce, 128)

	tunnels, additions := netplan.ReadBack([]byte(netplan.Render(netplan.Tunnel{ID: "mape0", Local: ce, Remote: br, TTL: 64, MTU: 1460}, []netplan.Addition{
		{Section: "ethernets", ID: "line", Address: address}, {Section: "bridges", ID: "home", NoRA: true},
	})))
	if want := []netplan.Tunnel{{ID: "mape0", Local: ce, MTU: 1460}}; !slices.Equal(tunnels, want) {
		t.Errorf("netplan: %+v, want %+v", tunnels, want)
	}
	if want := []netplan.Addition{{Section: "ethernets", ID: "line", Address: address}}; !slices.Equal(additions, want) {
		t.Errorf("netplan: %+v, want %+v", additions, want)
	}

	n, d := networkd.ReadUnit(networkd.NetdevText(networkd.Netdev{Name: "mape0", Local: ce, Remote: br, TTL: 64, MTU: 1460}))
	if want := (networkd.Netdev{Name: "mape0", Local: ce, MTU: 1460}); n != want || d.Ask || d.Address.IsValid() {
		t.Errorf("netdev: %+v, %+v, want %+v", n, d, want)
	}
	for _, want := range []networkd.DropIn{
		{Ask: true, Address: address}, {Ask: true, KeepsDUID: true}, {KeepsDUID: true, Address: address},
	} {
		if n, d := networkd.ReadUnit(networkd.DropInText(want)); d != want || n != (networkd.Netdev{}) {
			t.Errorf("drop-in: %+v, %+v, want %+v", n, d, want)
		}
	}
	for path, want := range map[string]string{
		networkd.LimitPath("mape0"): "mape0", networkd.LimitPath("a.b"): "a.b", networkd.NetdevPath: "", networkd.DropInPath("10-netplan-eth0.network"): "", networkd.DropInPath("10-eth0.netdev"): "",
	} {
		if got := networkd.Limited(path); got != want {
			t.Errorf("%s: tunnel %q, want %q", path, got, want)
		}
	}
	for most, want := range map[int]string{0: "", 5000: fmt.Sprintf("-%s = 5000\n", sysctld.ConntrackMaxKey)} {
		text := sysctld.SysctlText("mape0", most, "0")
		if got := sysctld.FormerForward(text); got != "0" || text != sysctld.SysctlText("mape0", 0, "0")+want {
			t.Errorf("sysctl: former value %q, in\n%s", got, text)
		}
	}
}
