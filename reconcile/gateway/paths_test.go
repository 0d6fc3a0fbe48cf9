package gateway_test

import (
	"net/netip"
	"reflect"
	"testing"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/firewall"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// TestPaths: links are those of the machine, and by their names alone where it does not have them.
func TestPaths(t *testing.T) {
	lan, wan := kernel.Link{Name: "eth0", Index: 2, Addresses: []kernel.Inet{gatewaytest.Inet("192.168.1.1/24")}}, kernel.Link{Name: "eth1", Index: 3}
	sw := softwire.Softwire{Carrier: softwire.Tunnel{Local: netip.MustParseAddr("2001:db8::1"), Remote: netip.MustParseAddr("2001:db8:ffff::1")}}
	g := &gateway.Gateway{Line: line.Line{WAN: wan, LAN: []string{"eth0", "eth9"}, Softwire: sw}, Tunnel: kernel.Tunnel{Link: "mape0"}, NAT: schema.NAT{Forwards: gatewaytest.ForwardTargets(1000)}}
	got := g.Paths(facts.Facts{Links: []kernel.Link{lan, wan}})
	want := firewall.Paths{
		Tunnel: kernel.Link{Name: "mape0"}, WAN: wan, LAN: []kernel.Link{lan, {Name: "eth9"}}, Links: []kernel.Link{lan, wan},
		CE: sw.CE(), BR: sw.BR(), Forwards: g.Forwards,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
