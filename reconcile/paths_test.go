package reconcile

import (
	"net/netip"
	"reflect"
	"testing"

	"mape-netplan/reconcile/softwire"
)

// TestPaths: links are those of the machine, and by their names alone where it does not have them.
func TestPaths(t *testing.T) {
	lan, wan := Link{Name: "eth0", Index: 2, Addresses: []Inet{inet("192.168.1.1/24")}}, Link{Name: "eth1", Index: 3}
	sw := softwire.Softwire{CE: netip.MustParseAddr("2001:db8::1"), BR: netip.MustParseAddr("2001:db8:ffff::1")}
	g := &Gateway{Line: Line{WAN: wan, LAN: []string{"eth0", "eth9"}, Softwire: sw}, Tunnel: "mape0", Forwards: forwardTargets(1000)}
	got := g.paths(Facts{Links: []Link{lan, wan}})
	want := Paths{
		Tunnel: Link{Name: "mape0"}, WAN: wan, LAN: []Link{lan, {Name: "eth9"}}, Links: []Link{lan, wan},
		CE: sw.CE, BR: sw.BR, Forwards: g.Forwards,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
