package reconcile

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// TestStale says of each connection whether it is to go.
func TestStale(t *testing.T) {
	a := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	out := func(protocol uint8, as string) *connection {
		return &connection{protocol: protocol, snat: true, src: a("192.168.1.10:5000"), dst: a("198.51.100.1:443"), replySrc: a("198.51.100.1:443"), replyDst: a(as)}
	}
	in := func(protocol uint8, from, at, to string) *connection {
		return &connection{protocol: protocol, dnat: true, src: a(from), dst: a(at), replySrc: a(to), replyDst: a(from)}
	}
	hairpin := out(protoTCP, "192.0.2.18:9")
	hairpin.replySrc = a("192.168.1.20:443")
	overlay := out(protoTCP, "192.0.2.18:9")
	overlay.replySrc = a("100.100.1.20:443")
	zoned := out(protoUDP, "192.0.2.99:1900")
	zoned.zoned = true
	plain := out(protoUDP, "192.0.2.99:1900")
	plain.snat = false

	g := gatewayOf(natKinds["ocn"], 1460)
	g.Forwards = []schema.Forward{{Protocol: "tcp", Ports: []schema.PortRange{{First: 1856, Last: 1857}}, To: a("192.168.1.10:22")}}
	now, guard := translations(tableOf(g)), g.nat().pool() // 1872-2877
	was := []Translation{{netip.MustParsePrefix("192.0.2.99/32"), 1872, 2879, []Forwarded{{protoUDP, 1860, 1863, a("192.168.1.11:0")}}},
		{netip.MustParsePrefix("192.0.2.18/32"), 1872, 2877, []Forwarded{{protoUDP, 1870, 1870, a("192.168.1.11:0")}}}}
	const peer = "203.0.113.5:700"
	for _, test := range []struct {
		what                    string
		c                       *connection
		stale, without, removed bool // with memory, without it, when nothing is wanted
	}{
		{"ours", out(protoTCP, "192.0.2.18:1872"), false, false, true},
		{"last of the pool", out(protoICMP, "192.0.2.18:2877"), false, false, true},
		{"outside the pool", out(protoUDP, "192.0.2.18:2878"), true, true, false},
		{"a forwarded port", out(protoTCP, "192.0.2.18:1856"), false, false, false},
		{"a port forwarded of another protocol", out(protoUDP, "192.0.2.18:1856"), false, false, false},
		{"former address", out(protoUDP, "192.0.2.99:1900"), true, false, true},
		{"former address, other port", out(protoUDP, "192.0.2.99:80"), false, false, false},
		{"neighbouring address", out(protoUDP, "192.0.2.19:1900"), false, false, false},
		{"Docker, another uplink", out(protoTCP, "203.0.113.9:1900"), false, false, false},
		{"other protocol", out(47, "192.0.2.99:1900"), false, false, false},
		{"in an overlay", overlay, false, false, false},
		{"in the LAN", hairpin, false, false, false},
		{"zone", zoned, false, false, false},
		{"not translated", plain, false, false, false},
		{"forward", in(protoTCP, peer, "192.0.2.18:1857", "192.168.1.10:23"), false, false, false},
		{"forward to elsewhere", in(protoTCP, peer, "192.0.2.18:1857", "192.168.1.11:23"), false, true, false},
		{"forward of another protocol", in(protoUDP, peer, "192.0.2.18:1857", "192.168.1.10:23"), false, true, false},
		{"no forward", in(protoTCP, peer, "192.0.2.18:1858", "192.168.1.10:24"), false, true, false},
		{"no forward, from the LAN", in(protoTCP, "192.168.1.7:700", "192.0.2.18:1858", "192.168.1.10:24"), false, false, false},
		{"former forward", in(protoUDP, peer, "192.0.2.99:1861", "192.168.1.11:1861"), true, false, true},
		{"former forward, from the LAN", in(protoUDP, "192.168.1.7:700", "192.0.2.99:1861", "192.168.1.11:1861"), true, false, true},
		{"former forward of the address that stays", in(protoUDP, peer, "192.0.2.18:1870", "192.168.1.11:1870"), true, true, true},
		{"another table's forward", in(protoUDP, peer, "192.0.2.99:1864", "192.168.1.11:1864"), false, false, false},
		{"Docker's published port", in(protoTCP, peer, "203.0.113.9:8080", "172.17.0.2:80"), false, false, false},
	} {
		for _, f := range []struct {
			Flows
			want bool
		}{
			{Flows{Was: was, Now: now, Guard: guard, Closed: true}, test.stale}, {Flows{Now: now, Guard: guard, Closed: true}, test.without},
			{Flows{Was: was}, test.removed}, {Flows{}, false},
		} {
			if _, got := f.stale(test.c); got != f.want {
				t.Errorf("%s, was %d, now %d: %v", test.what, len(f.Was), len(f.Now), got)
			}
		}
		if _, got := (Flows{Now: now, Guard: guard}).stale(test.c); got && test.c.dnat {
			t.Errorf("%s: is another table's while inbound connections are accepted", test.what)
		}
	}
}

// TestFlowsOfOthers deletes exactly what was ours, in steps as a machine's life has them, and leaves the rest alone.
func TestFlowsOfOthers(t *testing.T) {
	needTool(t, "conntrack")
	g := newGateway(t)
	want := g.standIn(t)
	g.converge(t, want)
	g.track(t, others...)
	before := g.tracked(t)
	// The line's address is 153.241.113.198, the pool 1792-2799.
	const ours = "-p udp -s 192.168.1.10 -d 198.51.100.1 --sport 2000 --dport 53 --src-nat 153.241.113.198:2000"
	steps := []struct {
		what    string
		entries []string
		section string // "" is a removal
		found   string
	}{
		{"what is ours stays", []string{ours}, lineSection, ""},
		{"outside the pool", []string{
			"-p udp -s 192.168.1.10 -d 198.51.100.1 --sport 2001 --dport 53 --src-nat 153.241.113.198:20001",
			"-p udp -s 192.168.1.10 -d 198.51.100.1 --sport 2002 --dport 53 --src-nat 153.241.113.198:20002",
			"-p tcp --state ESTABLISHED -s 192.168.1.10 -d 198.51.100.1 --sport 2002 --dport 53 --src-nat 153.241.113.198:20002",
			"-p icmp -s 192.168.1.10 -d 198.51.100.1 --icmp-type 8 --icmp-code 0 --icmp-id 77 --src-nat 153.241.113.198",
		}, lineSection, "icmp: 1 connection of 153.241.113.198\ntcp: 1 connection of 153.241.113.198\nudp: 2 connections of 153.241.113.198\n"},
		{"the address changes", nil, "{prefix: '2400:4050:5c72:af00::/56', wan: eth1, lan: eth0}", "udp: 1 connection of 153.241.113.198\n"},
		{"the address changes back", []string{strings.ReplaceAll(ours, "153.241.113.198:2000", "153.241.113.202:2000")},
			lineSection, "udp: 1 connection of 153.241.113.202\n"},
		{"removal", []string{ours}, "", "udp: 1 connection of 153.241.113.198\n"},
	}
	for _, step := range steps {
		if step.entries != nil {
			g.track(t, step.entries...)
		}
		found := ""
		for _, c := range g.converge(t, g.compileLive(t, step.section)) {
			if _, ok := c.After.(Flows); ok {
				found += c.Before.Text()
			}
		}
		if found != step.found {
			t.Errorf("%s: found\n%swant\n%s", step.what, found, step.found)
		}
		if left := g.plan(t, g.compileLive(t, step.section)); len(left) > 0 {
			t.Errorf("%s: afterwards a plan still names %q", step.what, names(left))
		}
	}
	unchanged(t, before, g.tracked(t))
}

// compileLive compiles what can be written on a kernel without ip6_tunnel; "" is a removal.
func (g *gatewayNS) compileLive(t testing.TB, section string) (want []Resource) {
	t.Helper()
	g.do(func() {
		f, err := Gather(g.h)
		if err != nil {
			t.Fatal(err)
		}
		var gateway *Gateway
		if section != "" {
			gateway = mustResolve(t, section, f)
			gateway.Inbound = "drop"
		}
		want = Compile(gateway, f)
	})
	return slices.DeleteFunc(want, func(r Resource) bool { _, ok := r.(Tunnel); return ok })
}

// TestFlowsStay: deleting them is nothing that a rollback takes back, or tries to.
// TestFlowsOfRollback: a connection that began while the new table was there goes with it.
func TestFlowsOfRollback(t *testing.T) {
	g := newGateway(t)
	want := g.standIn(t)
	var now []Translation
	for _, r := range want {
		if table, ok := r.(Table); ok {
			now = translations(table.Table)
		}
	}
	g.track(t, fmt.Sprintf("-p udp -s 192.168.1.10 -d 198.51.100.1 --sport 2001 --dport 53 --src-nat %s:%d", now[0].Address.Addr(), now[0].First))
	g.track(t, "-p udp -s 192.168.1.10 -d 198.51.100.1 --sport 2002 --dport 53 --src-nat 203.0.113.9:2002")
	b := newBench(map[string]string{})
	b.broken["last=1"] = errors.New("no space left")
	g.do(func() { Converge(t.Context(), g.h, append(want, b.want("last=1")...)) })
	if left := g.tracked(t); strings.Count(left, "\n") != 1 || !strings.Contains(left, "203.0.113.9") {
		t.Errorf("left:\n%s", left)
	}
}

func TestFlowsStay(t *testing.T) {
	g := newGateway(t)
	want := g.standIn(t)
	g.converge(t, want)
	g.track(t, "-p udp -s 192.168.1.10 -d 198.51.100.1 --sport 2001 --dport 53 --src-nat 153.241.113.198:20001")
	b := newBench(map[string]string{})
	b.broken["last=1"] = errors.New("no space left")
	g.do(func() {
		_, err := Converge(t.Context(), g.h, append(want, b.want("last=1")...))
		if err == nil || err.Error() != "last: no space left\nevery change was rolled back" {
			t.Errorf("the error is %v", err)
		}
	})
	if left := g.tracked(t); left != "" {
		t.Errorf("left:\n%s", left)
	}
}

// TestFlowsAfterChange: a UDP socket that goes on sending gets out again at once when its translation is deleted, and
// not before.
func TestFlowsAfterChange(t *testing.T) {
	elsewhere, nextSet := shared(0x34, 6, 6), shared(0x35, 6, 6)
	elsewhere.IPv4 = netip.MustParsePrefix("192.0.2.77/32")
	for what, next := range map[string]softwire.Softwire{"address": elsewhere, "port set": nextSet} {
		t.Run(what, func(t *testing.T) {
			l := newLine(t, natKinds["ocn"])
			l.serveUDP(t)
			// From a number of the pool, which it keeps, and which is outside the next one.
			var c *net.UDPConn
			var err error
			l.lan.do(func() { c, err = net.ListenUDP("udp4", &net.UDPAddr{Port: 1872}) })
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if saw, err := ask(c, 1, 10); err != nil || saw.Addr() != l.sw.IPv4.Addr() {
				t.Fatal(saw, err)
			}
			f := Flows{Was: translations(l.table())}
			l.mu.Lock()
			l.sw = next
			l.mu.Unlock()
			f.Now, f.Guard = translations(l.table()), l.gateway().nat().pool()
			if err := l.table().Write(l.conn); err != nil {
				t.Fatal(err)
			}
			writeFilter(t, l.gw, egressOf("mape0", next))
			before := l.quiet()
			for range 10 {
				c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(server+":3478"))
			}
			if after := l.quiet(); after != before {
				t.Errorf("%d packets left with the old translation", after-before)
			}
			l.gw.do(func() {
				live, err := f.Read(t.Context(), &Host{})
				if err != nil || live.Text() != "udp: 1 connection of 192.0.2.18\n" {
					t.Errorf("found %q, %v", live.Text(), err)
				}
				if err := f.Write(t.Context(), &Host{}); err != nil {
					t.Error(err)
				}
			})
			start := time.Now()
			saw, err := ask(c, 1, 10)
			if err != nil || saw.Addr() != next.IPv4.Addr() || !next.HasPort(saw.Port()) || time.Since(start) > time.Second {
				t.Errorf("afterwards the server saw %v, after %v, %v", saw, time.Since(start), err)
			}
		})
	}
}

// TestStaleInOnePiece: a forward cuts the pool short, and what has a port of the rest goes on.
func TestStaleInOnePiece(t *testing.T) {
	g := gatewayOf(natKinds["address"], 1460)
	was := translations(tableOf(g))
	g.Forwards = []schema.Forward{{Protocol: "tcp", Ports: []schema.PortRange{{First: 20000, Last: 20000}}, To: netip.MustParseAddrPort("192.168.1.10:0")}}
	g.pool = g.nat().pool()
	f := flows(g, Facts{Owned: Owned{Translations: was}})
	if f.Now[0].First != 20001 {
		t.Fatalf("the pool is not cut: %+v", f.Now)
	}
	far := netip.MustParseAddrPort("198.51.100.1:443")
	c := &connection{protocol: protoUDP, snat: true, replySrc: far, replyDst: netip.MustParseAddrPort("192.0.2.18:1024")}
	if _, stale := f.stale(c); stale {
		t.Error("a connection that works is deleted")
	}
}
