package gateway_test

import (
	"strings"
	"testing"

	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/resource"
)

// TestHeldRequests: the gateway of the last good section asks for the prefix of a section that is held off, in one file beside
// what that has for the interface already.
func TestHeldRequests(t *testing.T) {
	for _, test := range []struct{ section, link, also string }{
		{"{wan: eth1, lan: eth0, wan-prefix: pd, provider: biglobe}", "eth1", "Address=" + gatewaytest.CeOfLine},
		{"{wan: eth0, lan: eth1, wan-prefix: pd}", "eth0", "IPv6AcceptRA=no"}, // the LAN so far
		{"{wan: eth9, lan: eth0, wan-prefix: pd}", "eth9", "UseDelegatedPrefix="},
		{"{wan: eth1, lan: eth0, provider: biglobe}", "", ""},
	} {
		f := gatewaytest.OnLineFacts(gatewaytest.LineAddress)
		f.Links = append(f.Links, kernel.Link{Name: "eth9", Index: 9, Kind: "device", MTU: 1500})
		f.Networkd, f.Netplan, f.Definitions = true, false, nil
		for i, l := range f.Links {
			f.Links[i].NetworkFile = "/etc/systemd/network/" + l.Name + ".network"
		}
		f.Owned.Proven = gatewaytest.SectionOf(t, "{wan: eth1, lan: eth0}")
		aim := gateway.Resolve(gatewaytest.SectionOf(t, test.section), f)
		if !aim.Held() || aim.Gateway.Softwire.CE().String() != gatewaytest.CeOfLine {
			t.Fatalf("%s: %+v", test.section, aim)
		}
		asks := map[string]int{}
		for _, r := range gateway.Compile(aim.Gateway, f) {
			if file, ok := r.(resource.File); ok && strings.Contains(file.Data, networkd.RequestText) {
				asks[file.Path]++
				if !strings.Contains(file.Data, test.also) {
					t.Errorf("%s: without %s:\n%s", test.section, test.also, file.Data)
				}
			}
		}
		want := 1
		if test.link == "" {
			want = 0
		}
		if len(asks) != want || asks[networkd.DropInPath(test.link+".network")] != want {
			t.Errorf("%s: asks in %v", test.section, asks)
		}
	}
}
