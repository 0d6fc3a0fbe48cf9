package reconcile

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

// TestReadBack: what our files say is read back as it was written, as far as a later run has to know it.
func TestReadBack(t *testing.T) {
	ce, br := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8:ffff::1")
	address := netip.PrefixFrom(ce, 128)

	tunnels, additions := readNetplan([]byte(netplanText(netplanTunnel{"mape0", ce, br, 64, 1460}, []netplanAddition{
		{Section: "ethernets", ID: "line", Address: address}, {Section: "bridges", ID: "home", NoRA: true},
	})))
	if want := []netplanTunnel{{ID: "mape0", Local: ce, MTU: 1460}}; !slices.Equal(tunnels, want) {
		t.Errorf("netplan: %+v, want %+v", tunnels, want)
	}
	if want := []netplanAddition{{Section: "ethernets", ID: "line", Address: address}}; !slices.Equal(additions, want) {
		t.Errorf("netplan: %+v, want %+v", additions, want)
	}

	n, d := readUnit(netdevText(netdev{"mape0", ce, br, 64, 1460}))
	if want := (netdev{Name: "mape0", Local: ce, MTU: 1460}); n != want || d.Ask || d.Address.IsValid() {
		t.Errorf("netdev: %+v, %+v, want %+v", n, d, want)
	}
	for _, want := range []networkDropIn{
		{Ask: true, Address: address}, {Ask: true, KeepsDUID: true}, {KeepsDUID: true, Address: address},
	} {
		if n, d := readUnit(dropInText(want)); d != want || n != (netdev{}) {
			t.Errorf("drop-in: %+v, %+v, want %+v", n, d, want)
		}
	}
	for path, want := range map[string]string{
		limitPath("mape0"): "mape0", limitPath("a.b"): "a.b", netdevPath: "", dropInPath("10-netplan-eth0.network"): "", dropInPath("10-eth0.netdev"): "",
	} {
		if got := limited(path); got != want {
			t.Errorf("%s: tunnel %q, want %q", path, got, want)
		}
	}
	for most, want := range map[int]string{0: "", 5000: fmt.Sprintf("-%s = 5000\n", conntrackMaxKey)} {
		text := sysctlText("mape0", most, "0")
		if got := formerForward(text); got != "0" || text != sysctlText("mape0", 0, "0")+want {
			t.Errorf("sysctl: former value %q, in\n%s", got, text)
		}
	}
}
