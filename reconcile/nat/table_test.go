package nat_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// gatewayKinds has a gateway for each shape that a table can have: each kind of softwire, and what forwards make of it.
func gatewayKinds() map[string]*gateway.Gateway {
	kinds := map[string]*gateway.Gateway{}
	for name, sw := range gatewaytest.NatKinds {
		kinds[name] = gatewaytest.GatewayOf(sw, 1460)
	}
	for _, name := range gatewaytest.ForwardKinds {
		for _, inbound := range []string{"drop", "accept"} {
			g := gatewaytest.GatewayOf(gatewaytest.NatKinds[name], 1460)
			g.Forwards, g.Inbound = gatewaytest.ForwardsOf(g.Softwire), inbound
			kinds[name+"-forwards-"+inbound] = g
		}
	}
	return kinds
}

// TestNATTable compares whole tables. MAPE_UPDATE=1 writes what is compared.
func TestNATTable(t *testing.T) {
	for name, g := range gatewayKinds() {
		file := filepath.Join("testdata", name+".nft")
		got := gatewaytest.TableOf(g).Text()
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

// TestPoolWithForwards: no forwarded port can be drawn, all others can, and a forwarded one stands for itself.
func TestPoolWithForwards(t *testing.T) {
	gatewaytest.Softwires(func(sw softwire.Softwire) {
		where := fmt.Sprintf("offset %d, length %d, psid %d", sw.Ports.PSIDOffset, sw.Ports.PSIDLen, sw.Ports.PSID)
		g := gatewaytest.GatewayOf(sw, 1460)
		g.Forwards = gatewaytest.Edges(sw)
		middle := sw.Ports.Ranges()[len(sw.Ports.Ranges())/2]
		if half := middle.First + (middle.Last-middle.First)/2; half > middle.First && half < middle.Last {
			g.Forwards = append(g.Forwards, schema.Forward{Ports: []schema.PortRange{{First: half, Last: half}}})
		}
		p := g.NATConfig().Pool()
		taken, drawn := map[uint16]bool{}, map[uint16]bool{}
		for _, f := range g.Forwards {
			for n := int(f.Ports[0].First); n <= int(f.Ports[0].Last); n++ {
				taken[uint16(n)] = true
			}
		}
		for n := int(p.First); n <= int(p.Last) && n > 0; n++ {
			port := p.Port(uint16(n))
			if taken[uint16(n)] || taken[port] || drawn[port] || !sw.Ports.Has(port) || port < nat.FirstPort {
				t.Fatalf("%s: the pool has %d for %d", where, n, port)
			}
			drawn[port] = true
		}
		free := 0
		for _, r := range sw.Ports.Ranges() {
			for n := int(r.First); n <= int(r.Last); n++ {
				if n >= nat.FirstPort && !taken[uint16(n)] {
					free++
				}
			}
		}
		if len(drawn) != free && free <= nat.MaxMapped || len(drawn) < free/2 {
			t.Errorf("%s: %d of %d ports can be drawn", where, len(drawn), free)
		}
		for n := range taken {
			if p.Permuted() && p.Real()[n] != n {
				t.Errorf("%s: %d stands for %d", where, n, p.Real()[n])
			}
		}
	})
}

// TestForwardMovesFew: where the pool lies in a gap, a forward changes no more numbers than it has ports. A number that
// came to stand for another port would break the connections that have it.
func TestForwardMovesFew(t *testing.T) {
	gatewaytest.Softwires(func(sw softwire.Softwire) {
		before := nat.NewPool(sw.Ports.Ranges(), nil)
		among := slices.ContainsFunc(sw.Ports.Ranges(), func(r softwire.PortRange) bool { return r.First <= before.Last && r.Last >= before.First })
		if !before.Permuted() || among {
			return
		}
		g := gatewaytest.GatewayOf(sw, 1460)
		g.Forwards = gatewaytest.Edges(sw)
		after, moved := g.NATConfig().Pool(), 0
		for n := int(after.First); n <= int(after.Last) && n > 0; n++ {
			if after.Port(uint16(n)) != before.Port(uint16(n)) {
				moved++
			}
		}
		if after.First != before.First && after.First != 0 || moved > 2 {
			t.Errorf("offset %d, length %d, psid %d: %d numbers of %d-%d stand for another port in %d-%d",
				sw.Ports.PSIDOffset, sw.Ports.PSIDLen, sw.Ports.PSID, moved, before.First, before.Last, after.First, after.Last)
		}
	})
}

func TestPool(t *testing.T) {
	gatewaytest.Softwires(func(sw softwire.Softwire) {
		where := fmt.Sprintf("offset %d, length %d, psid %d", sw.Ports.PSIDOffset, sw.Ports.PSIDLen, sw.Ports.PSID)
		p := nat.NewPool(sw.Ports.Ranges(), nil)
		if p.First != 0 && p.First < nat.FirstPort || p.Last < p.First {
			t.Fatalf("%s: pool %d-%d", where, p.First, p.Last)
		}
		drawn := 0 // what of the set may be drawn
		for _, r := range sw.Ports.Ranges() {
			drawn += max(0, int(r.Last)+1-max(int(r.First), nat.FirstPort))
		}
		if size := int(p.Last) - int(p.First) + 1; size != drawn && drawn > 0 {
			t.Fatalf("%s: the pool has %d numbers for %d ports", where, size, drawn)
		}
		if !p.Permuted() {
			if !sw.Ports.Has(p.First) && drawn > 0 || !sw.Ports.Has(p.Last) && drawn > 0 {
				t.Fatalf("%s: %d-%d is not of the set", where, p.First, p.Last)
			}
			return
		}
		if len(p.Real()) != drawn || len(nat.Inverse(p.Real())) != drawn {
			t.Fatalf("%s: %d of %d ports are mapped, back %d", where, len(p.Real()), drawn, len(nat.Inverse(p.Real())))
		}
		for number, port := range p.Real() {
			inPool := number >= p.First && number <= p.Last
			if !inPool || !sw.Ports.Has(port) || port < nat.FirstPort || sw.Ports.Has(number) && number != port {
				t.Fatalf("%s: %d stands for %d", where, number, port)
			}
		}
	})
}

// TestTableLaw: what is written is what is read, for a table of every shape, and for what is written over what.
func TestTableLaw(t *testing.T) {
	want := slices.Collect(maps.Values(gatewayKinds()))
	kinds := len(want)
	gatewaytest.Softwires(func(sw softwire.Softwire) {
		if n := sw.Ports.Count(); sw.Ports.PSID == 1 && n < 4096 || sw.Ports.PSIDOffset == 15 {
			g := gatewaytest.GatewayOf(sw, 1280+len(want))
			f := gatewaytest.GatewayOf(sw, 1280+len(want))
			f.Forwards, f.Inbound = gatewaytest.Edges(sw), []string{"drop", "accept"}[len(want)/2%2]
			want = append(want, g, f)
		}
	})
	if testing.Short() {
		want = want[:kinds+20]
	}
	const parts = 8
	for part := range parts {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			n := hosttest.NewNS(t)
			conn := nft.OpenNS(n.FD())
			for i := part; i < len(want); i += parts {
				table := gatewaytest.TableOf(want[i])
				if err := table.Write(conn); err != nil {
					t.Fatalf("%+v: %v", want[i].Softwire, err)
				}
				live, err := nft.Read(conn, nat.Name)
				if err != nil {
					t.Fatal(err)
				}
				if live.Text() != table.Text() {
					t.Fatalf("%+v: read:\n%s\nwritten:\n%s", want[i].Softwire, live.Text(), table.Text())
				}
				// nft(8) has to be able to show it.
				if i < kinds {
					n.Exec(t, "nft", "list", "table", "ip", nat.Name)
				}
			}
		})
	}
}

// TestTableDrift: each change of the table by hand shows, and writing undoes it.
func TestTableDrift(t *testing.T) {
	t.Parallel()
	n := hosttest.NewNS(t)
	conn := nft.OpenNS(n.FD())
	table := gatewaytest.TableOf(gatewaytest.GatewayOf(gatewaytest.NatKinds["ocn"], 1460))
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
		n.Exec(t, "nft", command)
		live, err := nft.Read(conn, nat.Name)
		if err != nil || live.Text() == table.Text() {
			t.Errorf("%s does not show (%v)", command, err)
		}
		if err := table.Write(conn); err != nil {
			t.Fatal(err)
		}
		if live, err = nft.Read(conn, nat.Name); err != nil || live.Text() != table.Text() {
			t.Errorf("%s is not undone (%v):\n%s", command, err, live.Text())
		}
	}
}
