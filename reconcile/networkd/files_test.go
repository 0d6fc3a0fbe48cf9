package networkd_test

import (
	"net/netip"
	"testing"

	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/networkd"
)

// TestReadBack holds that our files are read as they were rendered, as far as a later run needs it.
func TestReadBack(t *testing.T) {
	ce, br := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8:ffff::1")
	tunnel, d := networkd.ReadBack(networkd.RenderNetdev(kernel.Tunnel{Link: "mape0", Local: ce, Remote: br, HopLimit: 64, MTU: 1460}))
	if want := (kernel.Tunnel{Link: "mape0", Local: ce, MTU: 1460}); tunnel != want || d.Request || d.Address.IsValid() {
		t.Errorf("netdev: %+v, %+v, want %+v", tunnel, d, want)
	}
	address := netip.PrefixFrom(ce, 128)
	for _, want := range []networkd.DropIn{
		{Request: true, Address: address}, {Request: true, KeepsDUID: true}, {KeepsDUID: true, Address: address},
	} {
		if tunnel, d := networkd.ReadBack(networkd.RenderDropIn(want)); d != want || tunnel != (kernel.Tunnel{}) {
			t.Errorf("drop-in: %+v, %+v, want %+v", tunnel, d, want)
		}
	}
	if text := networkd.RenderDropIn(networkd.DropIn{KeepsDUID: true}); text != "" {
		t.Errorf("a drop-in that adds nothing: %q", text)
	}
}

func TestLimitedTunnel(t *testing.T) {
	for path, want := range map[string]string{
		networkd.EncapLimitPath("mape0"): "mape0", networkd.EncapLimitPath("a.b"): "a.b", networkd.NetdevPath: "",
		networkd.DropInPath("10-netplan-eth0.network"): "", networkd.DropInPath("10-eth0.netdev"): "",
	} {
		if got := networkd.EncapLimitTunnel(path); got != want {
			t.Errorf("%s: tunnel %q, want %q", path, got, want)
		}
	}
}
