package reconcile

import (
	"net/netip"
	"reflect"
	"testing"

	"mape-netplan/reconcile/nft"
	"mape-netplan/schema"
)

// TestTranslations reads from a table what it translates, before and after the kernel has had it, whatever somebody did
// to it.
func TestTranslations(t *testing.T) {
	for name, sw := range natKinds {
		g := gatewayOf(sw, 1460)
		p := g.nat().pool()
		want := []Translation{{Address: sw.IPv4.Masked(), First: p.first, Last: p.last}}
		if p.first == 0 {
			want = nil
		}
		if got := translations(tableOf(g)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	for name, g := range gatewayKinds() {
		if got, want := g.nat().translations(g.nat().pool()), translations(tableOf(g)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: known to translate %+v, and the table says %+v", name, got, want)
		}
	}

	to := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	g := gatewayOf(natKinds["ocn"], 1460)
	g.Forwards = []schema.Forward{
		{Protocol: "tcp", Ports: []schema.PortRange{{First: 1856, Last: 1857}, {First: 1860, Last: 1860}}, To: to("192.168.1.10:22")},
		{Protocol: "tcp", Ports: []schema.PortRange{{First: 1858, Last: 1858}}, To: to("192.168.1.10:80")},
		{Protocol: "both", Ports: []schema.PortRange{{First: 1864, Last: 1867}}, To: to("192.168.1.11:0")},
	}
	table := tableOf(g)
	want := []Translation{{netip.MustParsePrefix("192.0.2.18/32"), g.nat().pool().first, g.nat().pool().last, []Forwarded{
		{protoTCP, 1856, 1857, to("192.168.1.10:22")},
		{protoTCP, 1860, 1860, to("192.168.1.10:24")},
		{protoTCP, 1858, 1858, to("192.168.1.10:80")},
		{protoTCP, 1864, 1867, to("192.168.1.11:0")},
		{protoUDP, 1864, 1867, to("192.168.1.11:0")},
	}}}
	n := newNS(t)
	conn := nft.OpenNS(n.fd())
	if err := table.Write(conn); err != nil {
		t.Fatal(err)
	}
	n.run(t, "nft", "add chain ip mape more; add rule ip mape more dnat to tcp dport map { 5000 : 192.168.1.66 };"+
		"add rule ip mape more tcp dport 5001 redirect; add rule ip mape more masquerade; add rule ip mape more snat to 10.0.0.1;"+
		"add rule ip mape more dnat to 10.0.0.1; add rule ip mape more tcp dport { 5002, 5003 } dnat to 10.0.0.1")
	live, err := nft.Read(conn, tableName)
	if err != nil {
		t.Fatal(err)
	}
	if got := g.nat().translations(g.nat().pool()); !reflect.DeepEqual(got, want) {
		t.Errorf("known: %+v, want %+v", got, want)
	}
	for what, table := range map[string]nft.Table{"built": table, "live": live} {
		if got := translations(table); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	n.run(t, "nft", "delete chain ip mape more; flush chain ip mape srcnat; flush chain ip mape crowded")
	if live, err = nft.Read(conn, tableName); err != nil || translations(live) != nil {
		t.Errorf("without source NAT: %+v, %v", translations(live), err)
	}
}
