package resource_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// TestStale says of each connection whether it is to go.
func TestStale(t *testing.T) {
	a := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	out := func(protocol uint8, as string) *kernel.Connection {
		return &kernel.Connection{Protocol: protocol, SNAT: true, Src: a("192.168.1.10:5000"), Dst: a("198.51.100.1:443"), ReplySrc: a("198.51.100.1:443"), ReplyDst: a(as)}
	}
	in := func(protocol uint8, from, at, to string) *kernel.Connection {
		return &kernel.Connection{Protocol: protocol, DNAT: true, Src: a(from), Dst: a(at), ReplySrc: a(to), ReplyDst: a(from)}
	}
	hairpin := out(kernel.ProtoTCP, "192.0.2.18:9")
	hairpin.ReplySrc = a("192.168.1.20:443")
	overlay := out(kernel.ProtoTCP, "192.0.2.18:9")
	overlay.ReplySrc = a("100.100.1.20:443")
	zoned := out(kernel.ProtoUDP, "192.0.2.99:1900")
	zoned.Zoned = true
	plain := out(kernel.ProtoUDP, "192.0.2.99:1900")
	plain.SNAT = false

	g := gatewaytest.GatewayOf(gatewaytest.NatKinds["ocn"], 1460)
	g.Forwards = []schema.Forward{{Protocol: "tcp", Ports: []schema.PortRange{{First: 1856, Last: 1857}}, To: a("192.168.1.10:22")}}
	now, pool := nat.Translations(gatewaytest.TableOf(g)), g.NATConfig().Pool() // 1872-2877
	was := []nat.Translation{{Address: netip.MustParsePrefix("192.0.2.99/32"), First: 1872, Last: 2879, Forwards: []nat.Forwarded{{Protocol: kernel.ProtoUDP, First: 1860, Last: 1863, To: a("192.168.1.11:0")}}},
		{Address: netip.MustParsePrefix("192.0.2.18/32"), First: 1872, Last: 2877, Forwards: []nat.Forwarded{{Protocol: kernel.ProtoUDP, First: 1870, Last: 1870, To: a("192.168.1.11:0")}}}}
	const peer = "203.0.113.5:700"
	for _, test := range []struct {
		what                    string
		c                       *kernel.Connection
		stale, without, removed bool // with memory, without it, when nothing is wanted
	}{
		{"ours", out(kernel.ProtoTCP, "192.0.2.18:1872"), false, false, true},
		{"last of the pool", out(kernel.ProtoICMP, "192.0.2.18:2877"), false, false, true},
		{"outside the pool", out(kernel.ProtoUDP, "192.0.2.18:2878"), true, true, false},
		{"a forwarded port", out(kernel.ProtoTCP, "192.0.2.18:1856"), false, false, false},
		{"a port forwarded of another protocol", out(kernel.ProtoUDP, "192.0.2.18:1856"), false, false, false},
		{"former address", out(kernel.ProtoUDP, "192.0.2.99:1900"), true, false, true},
		{"former address, other port", out(kernel.ProtoUDP, "192.0.2.99:80"), false, false, false},
		{"neighbouring address", out(kernel.ProtoUDP, "192.0.2.19:1900"), false, false, false},
		{"Docker, another uplink", out(kernel.ProtoTCP, "203.0.113.9:1900"), false, false, false},
		{"other protocol", out(47, "192.0.2.99:1900"), false, false, false},
		{"in an overlay", overlay, false, false, false},
		{"in the LAN", hairpin, false, false, false},
		{"zone", zoned, false, false, false},
		{"not translated", plain, false, false, false},
		{"forward", in(kernel.ProtoTCP, peer, "192.0.2.18:1857", "192.168.1.10:23"), false, false, false},
		{"forward to elsewhere", in(kernel.ProtoTCP, peer, "192.0.2.18:1857", "192.168.1.11:23"), false, true, false},
		{"forward of another protocol", in(kernel.ProtoUDP, peer, "192.0.2.18:1857", "192.168.1.10:23"), false, true, false},
		{"no forward", in(kernel.ProtoTCP, peer, "192.0.2.18:1858", "192.168.1.10:24"), false, true, false},
		{"no forward, from the LAN", in(kernel.ProtoTCP, "192.168.1.7:700", "192.0.2.18:1858", "192.168.1.10:24"), false, false, false},
		{"former forward", in(kernel.ProtoUDP, peer, "192.0.2.99:1861", "192.168.1.11:1861"), true, false, true},
		{"former forward, from the LAN", in(kernel.ProtoUDP, "192.168.1.7:700", "192.0.2.99:1861", "192.168.1.11:1861"), true, false, true},
		{"former forward of the address that stays", in(kernel.ProtoUDP, peer, "192.0.2.18:1870", "192.168.1.11:1870"), true, true, true},
		{"another table's forward", in(kernel.ProtoUDP, peer, "192.0.2.99:1864", "192.168.1.11:1864"), false, false, false},
		{"Docker's published port", in(kernel.ProtoTCP, peer, "203.0.113.9:8080", "172.17.0.2:80"), false, false, false},
	} {
		for _, f := range []struct {
			resource.Conntrack
			want bool
		}{
			{resource.Conntrack{Was: was, Now: now, Pool: pool, Closed: true}, test.stale}, {resource.Conntrack{Now: now, Pool: pool, Closed: true}, test.without},
			{resource.Conntrack{Was: was}, test.removed}, {resource.Conntrack{}, false},
		} {
			if _, got := f.Stale(test.c); got != f.want {
				t.Errorf("%s, was %d, now %d: %v", test.what, len(f.Was), len(f.Now), got)
			}
		}
		if _, got := (resource.Conntrack{Now: now, Pool: pool}).Stale(test.c); got && test.c.DNAT {
			t.Errorf("%s: is another table's while inbound connections are accepted", test.what)
		}
	}
}

// TestConntrackOfOthers deletes exactly what was ours, in steps as a machine's life has them, and leaves the rest alone.
func TestConntrackOfOthers(t *testing.T) {
	hosttest.NeedTool(t, "conntrack")
	g := gatewaytest.NewMachine(t)
	want := g.StandIn(t)
	g.Converge(t, want)
	gatewaytest.Track(g.NS, t, gatewaytest.Others...)
	before := gatewaytest.Tracked(g.NS, t)
	// The line's address is 153.241.113.198, the pool 1792-2799.
	const ours = "-p udp -s 192.168.1.10 -d 198.51.100.1 --sport 2000 --dport 53 --src-nat 153.241.113.198:2000"
	steps := []struct {
		what    string
		entries []string
		section string // "" is a removal
		found   string
	}{
		{"what is ours stays", []string{ours}, gatewaytest.LineSection, ""},
		{"outside the pool", []string{
			"-p udp -s 192.168.1.10 -d 198.51.100.1 --sport 2001 --dport 53 --src-nat 153.241.113.198:20001",
			"-p udp -s 192.168.1.10 -d 198.51.100.1 --sport 2002 --dport 53 --src-nat 153.241.113.198:20002",
			"-p tcp --state ESTABLISHED -s 192.168.1.10 -d 198.51.100.1 --sport 2002 --dport 53 --src-nat 153.241.113.198:20002",
			"-p icmp -s 192.168.1.10 -d 198.51.100.1 --icmp-type 8 --icmp-code 0 --icmp-id 77 --src-nat 153.241.113.198",
		}, gatewaytest.LineSection, "icmp: 1 connection of 153.241.113.198\ntcp: 1 connection of 153.241.113.198\nudp: 2 connections of 153.241.113.198\n"},
		{"the address changes", nil, "{prefix: '2400:4050:5c72:af00::/56', wan: eth1, lan: eth0}", "udp: 1 connection of 153.241.113.198\n"},
		{"the address changes back", []string{strings.ReplaceAll(ours, "153.241.113.198:2000", "153.241.113.202:2000")},
			gatewaytest.LineSection, "udp: 1 connection of 153.241.113.202\n"},
		{"removal", []string{ours}, "", "udp: 1 connection of 153.241.113.198\n"},
	}
	for _, step := range steps {
		if step.entries != nil {
			gatewaytest.Track(g.NS, t, step.entries...)
		}
		found := ""
		for _, c := range g.Converge(t, compileLive(g, t, step.section)) {
			if _, ok := c.After.(resource.Conntrack); ok {
				found += c.Before.Text()
			}
		}
		if found != step.found {
			t.Errorf("%s: found\n%swant\n%s", step.what, found, step.found)
		}
		if left := g.Plan(t, compileLive(g, t, step.section)); len(left) > 0 {
			t.Errorf("%s: afterwards a plan still names %q", step.what, hosttest.Names(left))
		}
	}
	gatewaytest.Unchanged(t, before, gatewaytest.Tracked(g.NS, t))
}

// compileLive compiles what can be written on a kernel without ip6_tunnel; "" is a removal.
func compileLive(g *gatewaytest.Machine, t testing.TB, section string) (want []engine.Resource) {
	t.Helper()
	g.Do(func() {
		f, err := facts.Gather(g.H)
		if err != nil {
			t.Fatal(err)
		}
		var fitted *gateway.Gateway
		if section != "" {
			fitted = gatewaytest.MustResolve(t, section, f)
			fitted.Inbound = "drop"
		}
		want = gateway.Compile(fitted, f)
	})
	return slices.DeleteFunc(want, func(r engine.Resource) bool { _, ok := r.(resource.Tunnel); return ok })
}

// TestConntrackStay: deleting them is nothing that a rollback takes back, or tries to.
// TestConntrackOfRollback: a connection that began while the new table was there goes with it.
func TestConntrackOfRollback(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	want := g.StandIn(t)
	var now []nat.Translation
	for _, r := range want {
		if table, ok := r.(resource.Table); ok {
			now = nat.Translations(table.Table)
		}
	}
	gatewaytest.Track(g.NS, t, fmt.Sprintf("-p udp -s 192.168.1.10 -d 198.51.100.1 --sport 2001 --dport 53 --src-nat %s:%d", now[0].Address.Addr(), now[0].First))
	gatewaytest.Track(g.NS, t, "-p udp -s 192.168.1.10 -d 198.51.100.1 --sport 2002 --dport 53 --src-nat 203.0.113.9:2002")
	b := hosttest.NewBench(map[string]string{})
	b.Broken["last=1"] = errors.New("no space left")
	g.Do(func() { engine.Converge(t.Context(), g.H, append(want, b.Want("last=1")...)) })
	if left := gatewaytest.Tracked(g.NS, t); strings.Count(left, "\n") != 1 || !strings.Contains(left, "203.0.113.9") {
		t.Errorf("left:\n%s", left)
	}
}

func TestConntrackStay(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	want := g.StandIn(t)
	g.Converge(t, want)
	gatewaytest.Track(g.NS, t, "-p udp -s 192.168.1.10 -d 198.51.100.1 --sport 2001 --dport 53 --src-nat 153.241.113.198:20001")
	b := hosttest.NewBench(map[string]string{})
	b.Broken["last=1"] = errors.New("no space left")
	g.Do(func() {
		_, err := engine.Converge(t.Context(), g.H, append(want, b.Want("last=1")...))
		if err == nil || err.Error() != "last: no space left\nevery change was rolled back" {
			t.Errorf("the error is %v", err)
		}
	})
	if left := gatewaytest.Tracked(g.NS, t); left != "" {
		t.Errorf("left:\n%s", left)
	}
}

// TestConntrackAfterChange: a UDP socket that goes on sending gets out again at once when its translation is deleted, and
// not before.
func TestConntrackAfterChange(t *testing.T) {
	elsewhere, nextSet := gatewaytest.Shared(0x34, 6, 6), gatewaytest.Shared(0x35, 6, 6)
	elsewhere.Inner = netip.MustParsePrefix("192.0.2.77/32")
	for what, next := range map[string]softwire.Softwire{"address": elsewhere, "port set": nextSet} {
		t.Run(what, func(t *testing.T) {
			l := gatewaytest.NewRig(t, gatewaytest.NatKinds["ocn"])
			l.ServeUDP(t)
			// From a number of the pool, which it keeps, and which is outside the next one.
			var c *net.UDPConn
			var err error
			l.Lan.Do(func() { c, err = net.ListenUDP("udp4", &net.UDPAddr{Port: 1872}) })
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if saw, err := gatewaytest.Ask(c, 1, 10); err != nil || saw.Addr() != l.Sw.Inner.Addr() {
				t.Fatal(saw, err)
			}
			f := resource.Conntrack{Was: nat.Translations(l.Table())}
			l.Mu.Lock()
			l.Sw = next
			l.Mu.Unlock()
			f.Now, f.Pool = nat.Translations(l.Table()), l.Gateway().NATConfig().Pool()
			if err := l.Table().Write(l.Conn); err != nil {
				t.Fatal(err)
			}
			gatewaytest.WriteFilter(t, l.Gw, gatewaytest.EgressOf(next))
			before := l.Quiet()
			for range 10 {
				c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(gatewaytest.Server+":3478"))
			}
			if after := l.Quiet(); after != before {
				t.Errorf("%d packets left with the old translation", after-before)
			}
			l.Gw.Do(func() {
				live, err := f.Read(t.Context(), &host.Host{})
				if err != nil || live.Text() != "udp: 1 connection of 192.0.2.18\n" {
					t.Errorf("found %q, %v", live.Text(), err)
				}
				if err := f.Write(t.Context(), &host.Host{}); err != nil {
					t.Error(err)
				}
			})
			saw, err := gatewaytest.Ask(c, 1, 10)
			if err != nil || saw.Addr() != next.Inner.Addr() || !next.Ports.Has(saw.Port()) {
				t.Errorf("afterwards the server saw %v, %v", saw, err)
			}
		})
	}
}

// TestStaleInOnePiece: a forward cuts the pool short, and what has a port of the rest goes on.
func TestStaleInOnePiece(t *testing.T) {
	g := gatewaytest.GatewayOf(gatewaytest.NatKinds["address"], 1460)
	was := nat.Translations(gatewaytest.TableOf(g))
	g.Forwards = []schema.Forward{{Protocol: "tcp", Ports: []schema.PortRange{{First: 20000, Last: 20000}}, To: netip.MustParseAddrPort("192.168.1.10:0")}}
	g.Pool = g.NATConfig().Pool()
	f := gateway.Connections(g, facts.Facts{Owned: facts.Owned{Translations: was}})
	if f.Now[0].First != 20001 {
		t.Fatalf("the pool is not cut: %+v", f.Now)
	}
	far := netip.MustParseAddrPort("198.51.100.1:443")
	c := &kernel.Connection{Protocol: kernel.ProtoUDP, SNAT: true, ReplySrc: far, ReplyDst: netip.MustParseAddrPort("192.0.2.18:1024")}
	if _, stale := f.Stale(c); stale {
		t.Error("a connection that works is deleted")
	}
}
