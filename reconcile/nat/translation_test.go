package nat_test

import (
	"net/netip"
	"reflect"
	"testing"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nft"
	"mape-netplan/schema"
)

// TestTranslations reads from a table what it translates, before and after the kernel has had it, and when it was
// changed by hand.
func TestTranslations(t *testing.T) {
	t.Parallel()
	for name, sw := range gatewaytest.NatKinds {
		g := gatewaytest.GatewayOf(sw, 1460)
		p := g.NATConfig().Pool()
		want := []nat.Translation{{Address: sw.Inner.Masked(), First: p.First, Last: p.Last}}
		if p.First == 0 {
			want = nil
		}
		if got := nat.Translations(gatewaytest.TableOf(g)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	for name, g := range gatewayKinds() {
		if got, want := g.NATConfig().Translations(g.NATConfig().Pool()), nat.Translations(gatewaytest.TableOf(g)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: known to translate %+v, and the table says %+v", name, got, want)
		}
	}

	to := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	g := gatewaytest.GatewayOf(gatewaytest.NatKinds["ocn"], 1460)
	g.Forwards = []schema.Forward{
		{Protocol: "tcp", Ports: []schema.PortRange{{First: 1856, Last: 1857}, {First: 1860, Last: 1860}}, To: to("192.168.1.10:22")},
		{Protocol: "tcp", Ports: []schema.PortRange{{First: 1858, Last: 1858}}, To: to("192.168.1.10:80")},
		{Protocol: "both", Ports: []schema.PortRange{{First: 1864, Last: 1867}}, To: to("192.168.1.11:0")},
	}
	table := gatewaytest.TableOf(g)
	want := []nat.Translation{{Address: netip.MustParsePrefix("192.0.2.18/32"), First: g.NATConfig().Pool().First, Last: g.NATConfig().Pool().Last, Forwards: []nat.Forwarded{
		{Protocol: kernel.ProtoTCP, First: 1856, Last: 1857, To: to("192.168.1.10:22")},
		{Protocol: kernel.ProtoTCP, First: 1858, Last: 1858, To: to("192.168.1.10:80")},
		{Protocol: kernel.ProtoTCP, First: 1860, Last: 1860, To: to("192.168.1.10:24")},
		{Protocol: kernel.ProtoTCP, First: 1864, Last: 1867, To: to("192.168.1.11:0")},
		{Protocol: kernel.ProtoUDP, First: 1864, Last: 1867, To: to("192.168.1.11:0")},
	}}}
	n := hosttest.NewNS(t)
	conn := nft.OpenNS(n.FD())
	if err := table.Write(conn); err != nil {
		t.Fatal(err)
	}
	n.Exec(t, "nft", "add chain ip mape more; add rule ip mape more dnat to tcp sport map { 5000 : 192.168.1.66 };"+
		"add rule ip mape more tcp dport 5001 redirect; add rule ip mape more masquerade; add rule ip mape more snat to 10.0.0.1;"+
		"add rule ip mape more dnat to 10.0.0.1; add rule ip mape more tcp dport { 5002, 5003 } dnat to 10.0.0.1")
	live, err := nft.Read(conn, nat.Name)
	if err != nil {
		t.Fatal(err)
	}
	if got := g.NATConfig().Translations(g.NATConfig().Pool()); !reflect.DeepEqual(got, want) {
		t.Errorf("known: %+v, want %+v", got, want)
	}
	for what, table := range map[string]nft.Table{"built": table, "live": live} {
		if got := nat.Translations(table); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	n.Exec(t, "nft", "delete chain ip mape more; flush chain ip mape srcnat; flush chain ip mape crowded")
	if live, err = nft.Read(conn, nat.Name); err != nil || nat.Translations(live) != nil {
		t.Errorf("without source NAT: %+v, %v", nat.Translations(live), err)
	}
}
