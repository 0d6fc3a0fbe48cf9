package reconcile

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// shared is a softwire with a port set, of which the table needs nothing else.
func shared(psid uint16, length, offset int) softwire.Softwire {
	return softwire.Softwire{
		IPv4: netip.MustParsePrefix("192.0.2.18/32"), PSID: psid, PSIDLen: length, PSIDOffset: offset,
	}
}

// gatewayOf is a gateway as its table sees it.
func gatewayOf(sw softwire.Softwire, mtu int) *Gateway {
	return &Gateway{Line: Line{Softwire: sw}, Tunnel: "mape0", MTU: mtu, Conntrack: defaultConntrack()}
}

// defaultConntrack is what a section without conntrack has.
func defaultConntrack() schema.Conntrack {
	c, err := schema.Parse("gw.yaml", []byte("mape: {}"))
	if err != nil {
		panic(err)
	}
	return c.Conntrack
}

// tableOf is the table of a gateway.
func tableOf(g *Gateway) nft.Table { return natTable(g.nat(), g.nat().pool()) }

// natKinds has one softwire for each shape that a table can have.
var natKinds = map[string]softwire.Softwire{
	"ocn":           shared(0x34, 6, 6),
	"v6plus":        shared(0x41, 8, 4),
	"overlap":       shared(2, 2, 5), // no gap is as wide as the pool
	"offset0":       shared(5, 4, 0),
	"offset0-psid0": shared(0, 4, 0),
	"system-ports":  shared(0, 8, 0), // nothing that NAT may draw
	"address":       shared(0, 0, 4),
	"prefix":        {IPv4: netip.MustParsePrefix("192.0.2.16/28")},
}

// gatewayKinds has a gateway for each shape that a table can have: each kind of softwire, and what forwards make of it.
func gatewayKinds() map[string]*Gateway {
	kinds := map[string]*Gateway{}
	for name, sw := range natKinds {
		kinds[name] = gatewayOf(sw, 1460)
	}
	for _, name := range forwardKinds {
		for _, inbound := range []string{"drop", "accept"} {
			g := gatewayOf(natKinds[name], 1460)
			g.Forwards, g.Inbound = forwardsOf(g.Softwire), inbound
			kinds[name+"-forwards-"+inbound] = g
		}
	}
	return kinds
}

// TestNATTable compares whole tables. MAPE_UPDATE=1 writes what is compared.
func TestNATTable(t *testing.T) {
	for name, g := range gatewayKinds() {
		file := filepath.Join("testdata", "nat", name+".nft")
		got := tableOf(g).Text()
		if os.Getenv("MAPE_UPDATE") == "1" {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || string(want) != got {
			t.Errorf("%s: %v\ngot:\n%s\nwant:\n%s", name, err, got, want)
		}
	}
}

// softwires calls f with every offset and length, and PSIDs at both ends and between.
func softwires(f func(softwire.Softwire)) {
	for offset := range 16 {
		for length := range 17 - offset {
			last := uint16(1<<length - 1)
			for _, psid := range slices.Compact([]uint16{0, min(1, last), last}) {
				if sw := shared(psid, length, offset); sw.PortCount() > 0 {
					f(sw)
				}
			}
		}
	}
}

// edges forwards a port at each end of a set, one of another number.
func edges(sw softwire.Softwire) []schema.Forward {
	set := sw.Ports()
	first, last := set[0].First, set[len(set)-1].Last
	all := []schema.Forward{{Protocol: "both", Ports: []schema.PortRange{{First: first, Last: first}}, To: netip.MustParseAddrPort("192.168.1.10:0")}}
	if last > first {
		all = append(all, schema.Forward{Protocol: "udp", Ports: []schema.PortRange{{First: last, Last: last}}, To: netip.MustParseAddrPort("192.168.1.10:22")})
	}
	return all
}

// TestPoolWithForwards: no forwarded port can be drawn, all others can, and a forwarded one stands for itself.
func TestPoolWithForwards(t *testing.T) {
	softwires(func(sw softwire.Softwire) {
		where := fmt.Sprintf("offset %d, length %d, psid %d", sw.PSIDOffset, sw.PSIDLen, sw.PSID)
		g := gatewayOf(sw, 1460)
		g.Forwards = edges(sw)
		middle := sw.Ports()[len(sw.Ports())/2]
		if half := middle.First + (middle.Last-middle.First)/2; half > middle.First && half < middle.Last {
			g.Forwards = append(g.Forwards, schema.Forward{Ports: []schema.PortRange{{First: half, Last: half}}})
		}
		p := g.nat().pool()
		taken, drawn := map[uint16]bool{}, map[uint16]bool{}
		for _, f := range g.Forwards {
			for n := int(f.Ports[0].First); n <= int(f.Ports[0].Last); n++ {
				taken[uint16(n)] = true
			}
		}
		for n := int(p.first); n <= int(p.last) && n > 0; n++ {
			port := p.port(uint16(n))
			if taken[uint16(n)] || taken[port] || drawn[port] || !sw.HasPort(port) || port < firstPort {
				t.Fatalf("%s: the pool has %d for %d", where, n, port)
			}
			drawn[port] = true
		}
		free := 0
		for _, r := range sw.Ports() {
			for n := int(r.First); n <= int(r.Last); n++ {
				if n >= firstPort && !taken[uint16(n)] {
					free++
				}
			}
		}
		if len(drawn) != free && free <= mostMapped || len(drawn) < free/2 {
			t.Errorf("%s: %d of %d ports can be drawn", where, len(drawn), free)
		}
		for n := range taken {
			if p.permuted() && p.real[n] != n {
				t.Errorf("%s: %d stands for %d", where, n, p.real[n])
			}
		}
	})
}

// TestForwardMovesFew: where the pool lies in a gap, a forward changes no more numbers than it has ports. A number that
// came to stand for another port would break the connections that have it.
func TestForwardMovesFew(t *testing.T) {
	softwires(func(sw softwire.Softwire) {
		before := newPool(sw.Ports(), nil)
		among := slices.ContainsFunc(sw.Ports(), func(r softwire.PortRange) bool { return r.First <= before.last && r.Last >= before.first })
		if !before.permuted() || among {
			return
		}
		g := gatewayOf(sw, 1460)
		g.Forwards = edges(sw)
		after, moved := g.nat().pool(), 0
		for n := int(after.first); n <= int(after.last) && n > 0; n++ {
			if after.port(uint16(n)) != before.port(uint16(n)) {
				moved++
			}
		}
		if after.first != before.first && after.first != 0 || moved > 2 {
			t.Errorf("offset %d, length %d, psid %d: %d numbers of %d-%d stand for another port in %d-%d",
				sw.PSIDOffset, sw.PSIDLen, sw.PSID, moved, before.first, before.last, after.first, after.last)
		}
	})
}

func TestPool(t *testing.T) {
	softwires(func(sw softwire.Softwire) {
		where := fmt.Sprintf("offset %d, length %d, psid %d", sw.PSIDOffset, sw.PSIDLen, sw.PSID)
		p := newPool(sw.Ports(), nil)
		if p.first != 0 && p.first < firstPort || p.last < p.first {
			t.Fatalf("%s: pool %d-%d", where, p.first, p.last)
		}
		drawn := 0 // what of the set may be drawn
		for _, r := range sw.Ports() {
			drawn += max(0, int(r.Last)+1-max(int(r.First), firstPort))
		}
		if size := int(p.last) - int(p.first) + 1; size != drawn && drawn > 0 {
			t.Fatalf("%s: the pool has %d numbers for %d ports", where, size, drawn)
		}
		if !p.permuted() {
			if !sw.HasPort(p.first) && drawn > 0 || !sw.HasPort(p.last) && drawn > 0 {
				t.Fatalf("%s: %d-%d is not of the set", where, p.first, p.last)
			}
			return
		}
		if len(p.real) != drawn || len(inverse(p.real)) != drawn {
			t.Fatalf("%s: %d of %d ports are mapped, back %d", where, len(p.real), drawn, len(inverse(p.real)))
		}
		for number, port := range p.real {
			inPool := number >= p.first && number <= p.last
			if !inPool || !sw.HasPort(port) || port < firstPort || sw.HasPort(number) && number != port {
				t.Fatalf("%s: %d stands for %d", where, number, port)
			}
		}
	})
}

// TestTableLaw: what is written is what is read, for a table of every shape, and for what is written over what.
func TestTableLaw(t *testing.T) {
	n := newNS(t)
	conn := nft.OpenNS(n.fd())
	want := slices.Collect(maps.Values(gatewayKinds()))
	kinds := len(want)
	softwires(func(sw softwire.Softwire) {
		if n := sw.PortCount(); sw.PSID == 1 && n < 4096 || sw.PSIDOffset == 15 {
			g := gatewayOf(sw, 1280+len(want))
			f := gatewayOf(sw, 1280+len(want))
			f.Forwards, f.Inbound = edges(sw), []string{"drop", "accept"}[len(want)/2%2]
			want = append(want, g, f)
		}
	})
	for i, g := range want {
		sw := g.Softwire
		table := tableOf(g)
		if err := table.Write(conn); err != nil {
			t.Fatalf("%+v: %v", sw, err)
		}
		live, err := nft.Read(conn, tableName)
		if err != nil {
			t.Fatal(err)
		}
		if live.Text() != table.Text() {
			t.Fatalf("%+v: read:\n%s\nwritten:\n%s", sw, live.Text(), table.Text())
		}
		// nft(8) has to be able to show it.
		if i < kinds {
			n.run(t, "nft", "list", "table", "ip", tableName)
		}
	}
}

// TestTableDrift: whatever somebody does to the table by hand shows, and writing mends it.
func TestTableDrift(t *testing.T) {
	n := newNS(t)
	conn := nft.OpenNS(n.fd())
	table := tableOf(gatewayOf(natKinds["ocn"], 1460))
	for _, command := range []string{
		"flush ruleset", "delete table ip mape", "flush table ip mape", "flush chain ip mape postrouting",
		"insert rule ip mape postrouting accept", "add rule ip mape input meta mark set 1",
		"insert rule ip mape srcnat masquerade", "add chain ip mape mine", "add set ip mape mine { type ipv4_addr; }",
		"delete element ip mape real { 1872 : 1856 }",
		"delete element ip mape real { 1872 : 1856 }; add element ip mape real { 1872 : 1857 }",
		"chain ip mape input { policy drop; }", "table ip mape { flags dormant; }",
	} {
		if err := table.Write(conn); err != nil {
			t.Fatal(err)
		}
		n.run(t, "nft", command)
		live, err := nft.Read(conn, tableName)
		if err != nil || live.Text() == table.Text() {
			t.Errorf("%s does not show (%v)", command, err)
		}
		if err := table.Write(conn); err != nil {
			t.Fatal(err)
		}
		if live, err = nft.Read(conn, tableName); err != nil || live.Text() != table.Text() {
			t.Errorf("%s is not mended (%v):\n%s", command, err, live.Text())
		}
	}
}
