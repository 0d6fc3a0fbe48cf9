package nat_test

import (
	"net/netip"
	"testing"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nft"
	"mape-netplan/schema"
)

// TestManyForwards: what a packet meets does not grow with the forwards, nor what the table has with the length of a range
// that keeps its numbers; a port that gets another is one element for each protocol.
func TestManyForwards(t *testing.T) {
	t.Parallel()
	count := func(forwards ...schema.Forward) (table nft.Table, rules, elements int) {
		g := gatewaytest.GatewayOf(gatewaytest.NatKinds["address"], 1460)
		g.Forwards = forwards
		table = gatewaytest.TableOf(g)
		for _, c := range table.Chains {
			rules += len(c.Rules)
		}
		for _, s := range table.Sets {
			elements += len(s.Elements)
		}
		return table, rules, elements
	}
	forward := func(first, last uint16, to string) schema.Forward {
		return schema.Forward{Protocol: "both", Ports: []schema.PortRange{{First: first, Last: last}}, To: netip.MustParseAddrPort(to)}
	}
	_, fewRules, fewElements := count(forward(1024, 1024, "192.168.1.10:22"), forward(5000, 5000, "192.168.1.11:0"))
	table, rules, elements := count(forward(1024, 1024+line.MaxForwards-2, "192.168.1.10:22"), forward(6000, 30000, "192.168.1.11:0"))
	if rules != fewRules || elements != fewElements+2*(line.MaxForwards-2) {
		t.Errorf("%d rules and %d elements, and for one port and one range %d and %d", rules, elements, fewRules, fewElements)
	}
	conn := nft.OpenNS(hosttest.NewNS(t).FD())
	if err := table.Write(conn); err != nil {
		t.Fatal(err)
	}
	if live, err := nat.Read(conn); err != nil || live.Text() != table.Text() {
		t.Errorf("read: %v, %d bytes of %d", err, len(live.Text()), len(table.Text()))
	}
}
