package reconcile

import (
	"net/netip"
	"strings"
	"testing"

	"mape-netplan/reconcile/nft"
	"mape-netplan/schema"
)

// auto is lineSection without what says the line.
const auto = "{wan: eth1, lan: eth0}"

// TestMemory reads back from our files, of either backend, the line that they
// were made for, and makes the very same table of it.
func TestMemory(t *testing.T) {
	for backend, machine := range map[string]string{"netplan": cloudInit, "networkd": "-- etc/systemd/network/wan.network --\n[Match]\nName=eth1\n"} {
		for _, section := range []string{
			lineSection, "{mtu: 1400, " + lineSection[1:], "{tunnel: ipoe, " + lineSection[1:],
			"{inbound: accept, forwards: [{protocol: tcp, port: 1776, to: 192.168.1.20}], " + lineSection[1:],
		} {
			section = "{backend: " + backend + ", " + section[1:]
			h, _ := hostOf(t, machine)
			f, err := Gather(h)
			if err != nil {
				t.Fatal(err)
			}
			g := mustResolve(t, section, f)
			if _, err := Converge(t.Context(), h, Compile(g, f)); err != nil {
				t.Fatal(err)
			}
			owned, err := h.owned(Facts{})
			if err != nil {
				t.Fatal(err)
			}
			if m := owned.Memory; m == nil || m.CE != g.Softwire.CE || m.MTU != g.MTU {
				t.Fatalf("%s: remembers %+v", section, m)
			}
			// Without the line and the MTU, which are found out.
			bare := strings.NewReplacer("prefix: '2400:4050:5c71:af00::/56'", "provider: auto", "mtu: 1400, ", "").Replace(section)
			guard := GuardOf(sectionOf(t, bare), Facts{Owned: owned})
			if guard.Why != nil || guard.Table.Text() != tableOf(g).Text() {
				t.Errorf("%s: %v: the guard is not the table of a run, but\n%s", section, guard.Why, guard.Table.Text())
			}
			// A prefix that is given goes before what is remembered.
			c := sectionOf(t, strings.Replace(section, "5c71:af00", "5c71:b000", 1))
			c.Forwards = nil
			if other := GuardOf(c, Facts{Owned: owned}); other.Why != nil || other.Line.Softwire.CE == g.Softwire.CE {
				t.Errorf("%s: with another prefix: %v, %v", section, other.Why, other.Line)
			}
			// What was edited tells nothing, and hurts nobody.
			for _, p := range owned.Files {
				if err := h.Root.WriteFile(local(p), []byte(heading+"[[["), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if owned, err = h.owned(Facts{}); err != nil || owned.Memory != nil {
				t.Errorf("%s: edited: remembers %+v, %v", section, owned.Memory, err)
			}
		}
	}
}

// TestWall lets nothing through the tunnels while no line is remembered.
func TestWall(t *testing.T) {
	outside := Owned{Tunnels: []string{"old0"}, Memory: &Memory{CE: sectionOf(t, "{prefix: '2001:db8::/56'}").Prefix.Addr()}}
	for _, test := range []struct {
		section, tunnels, why string
		owned                 Owned
	}{
		{auto, "mape0", "no earlier run has left a line to remember", Owned{}},
		{"{tunnel: ipoe}", "old0 ipoe", "no earlier run", Owned{Tunnels: []string{"old0"}}},
		{auto, "old0 mape0", "2001:db8::", outside},
		{"", "old0", "no section", outside},
		{"", "mape0", "no section", Owned{}},
	} {
		var c *schema.Config
		if test.section != "" {
			c = sectionOf(t, test.section)
		}
		g := GuardOf(c, Facts{Owned: test.owned})
		if g.Why == nil || !strings.Contains(g.Why.Error(), test.why) || strings.Join(g.Tunnels, " ") != test.tunnels {
			t.Errorf("%q: guards %q: %v", test.section, g.Tunnels, g.Why)
		}
		for _, tunnel := range g.Tunnels {
			for _, rule := range []string{`iifname "` + tunnel + `" drop`, `oifname "` + tunnel + `" drop`} {
				if !strings.Contains(g.Table.Text(), rule) {
					t.Errorf("%q: %s is not in\n%s", test.section, rule, g.Table.Text())
				}
			}
			if !guards(g.Table, tunnel) {
				t.Errorf("%q: is not seen to guard %s", test.section, tunnel)
			}
		}
		if guards(g.Table, "other0") {
			t.Errorf("%q: is seen to guard what it does not", test.section)
		}
	}
}

// TestGuardOfRenamed guards the tunnel that the files have as well as the one
// that the section names now, whose NAT it is.
func TestGuardOfRenamed(t *testing.T) {
	owned := Owned{Tunnels: []string{"wan4"}, Memory: &Memory{CE: netip.MustParseAddr(ceOfLine)}}
	same, renamed := GuardOf(sectionOf(t, "{tunnel: wan4}"), Facts{Owned: owned}), GuardOf(sectionOf(t, "{tunnel: new4}"), Facts{Owned: owned})
	for _, g := range []Guard{same, renamed} {
		if g.Why != nil || !g.Holds(g.Table) {
			t.Errorf("%v: %v: the table does not guard them:\n%s", g.Tunnels, g.Why, g.Table.Text())
		}
	}
	if same.Table.Text() != tableOf(same.Line).Text() {
		t.Errorf("a tunnel that was not renamed has\n%s", same.Table.Text())
	}
	for _, rule := range []string{`iifname "wan4" drop`, `oifname "wan4" drop`} {
		if strings.Count(renamed.Table.Text(), rule) != 1 {
			t.Errorf("%s is not once in\n%s", rule, renamed.Table.Text())
		}
	}
	if renamed.Holds(Table{tableOf(renamed.Line)}) || renamed.Holds(Table{wall([]string{"new4"})}) {
		t.Error("a table that leaves wan4 open is taken for the guard")
	}
}

// TestRenamedStops lets nothing of any kind out by a tunnel that is to have
// another name, though the NAT of the line is in place.
func TestRenamedStops(t *testing.T) {
	l := bareLine(t, natKinds["ocn"])
	g := l.gateway()
	old := g.Tunnel
	g.Tunnel = "new4"
	if err := walled(tableOf(g), []string{old}).Write(l.conn); err != nil {
		t.Fatal(err)
	}
	for _, from := range []*ns{l.lan, l.gw} {
		for _, c := range sockets(t, from, 20) {
			c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(server+":3478"))
		}
		from.try("ping", "-c1", "-W1", server)
	}
	if n := l.quiet(); n != 0 {
		t.Errorf("%d packets left", n)
	}
}

// TestWallStops holds up every packet at a real interface, ours, the LAN's and
// the internet's.
func TestWallStops(t *testing.T) {
	l := bareLine(t, natKinds["ocn"])
	if err := wall([]string{"mape0"}).Write(l.conn); err != nil {
		t.Fatal(err)
	}
	for _, from := range []*ns{l.lan, l.gw} {
		for _, c := range sockets(t, from, 20) {
			c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(server+":3478"))
		}
		from.try("ping", "-c1", "-W1", server)
	}
	l.inject(t, udpTo(server, 53, "192.168.1.10", 53, "x"))
	if n := l.quiet(); n != 0 {
		t.Errorf("%d packets left", n)
	}
	// The NAT takes its place, and the same host gets out.
	if err := l.table().Write(l.conn); err != nil {
		t.Fatal(err)
	}
	l.serveUDP(t)
	if _, err := ask(sockets(t, l.lan, 1)[0], 1, 10); err != nil {
		t.Error(err)
	}
}

// TestGuardStays leaves the table of a gateway at work alone, whatever is
// remembered, and puts back what was flushed.
func TestGuardStays(t *testing.T) {
	g := newGateway(t)
	g.converge(t, g.standIn(t))
	table := func() string {
		live, err := Table{}.Read(t.Context(), g.h)
		if err != nil {
			t.Fatal(err)
		}
		return live.Text()
	}
	before := table()
	put := func(section string) (made bool) {
		g.do(func() {
			var err error
			if _, made, err = NewRun(g.h).PutGuard(t.Context(), sectionOf(t, section)); err != nil {
				t.Fatal(err)
			}
		})
		return made
	}
	if put(auto) || put("{inbound: accept}") || table() != before {
		t.Error("it has replaced the table of a gateway at work")
	}
	for _, harm := range []string{"flush table ip mape", "delete table ip mape", "flush ruleset", "flush chain ip mape postrouting"} {
		g.run(t, "nft", harm)
		if !put(auto) || table() != before {
			t.Errorf("after %s the table is\n%s", harm, table())
		}
	}
}

// TestUnguardOfAnother puts the table of a gateway at work back, which a guard for another tunnel has replaced, and
// leaves the guard where that table had been flushed.
func TestUnguardOfAnother(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		g := newGateway(t)
		g.converge(t, g.standIn(t))
		if flushed {
			g.run(t, "nft", "flush table ip mape")
		}
		table := func() string {
			live, err := Table{}.Read(t.Context(), g.h)
			if err != nil {
				t.Fatal(err)
			}
			return live.Text()
		}
		before := table()
		g.do(func() {
			run := NewRun(g.h)
			if _, made, err := run.PutGuard(t.Context(), sectionOf(t, "{tunnel: new4}")); !made || err != nil {
				t.Fatal(made, err)
			}
			guard := table()
			left, err := run.TakeBack(t.Context())
			want := before
			if flushed {
				want = guard
			}
			if got := table(); got != want || flushed != (err != nil) || flushed != (len(left) == 1) {
				t.Errorf("flushed %v: %q is left: %v, and the table is\n%s", flushed, names(left), err, got)
			}
		})
	}
}

// TestTakeBackAfterAll takes nothing back once a run has converged: a line that was withdrawn is an error, after the
// gateway was taken down.
func TestTakeBackAfterAll(t *testing.T) {
	g := newGateway(t)
	g.converge(t, g.standIn(t))
	g.do(func() {
		run := NewRun(g.h)
		if _, made, err := run.PutGuard(t.Context(), sectionOf(t, "{tunnel: new4}")); !made || err != nil {
			t.Fatal(made, err)
		}
		if _, err := run.Converge(t.Context(), []Resource{Table{nft.Table{Name: tableName}}}); err != nil {
			t.Fatal(err)
		}
		g.run(t, "ip", "link", "del", "mape0")
		if left, err := run.TakeBack(t.Context()); left != nil || err != nil {
			t.Errorf("%q is left: %v", names(left), err)
		}
	})
	if out := g.run(t, "nft", "list", "tables"); out != "" {
		t.Errorf("there is %s", out)
	}
}
