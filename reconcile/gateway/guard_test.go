package gateway_test

import (
	"net/netip"
	"strings"
	"testing"

	"mape-netplan/reconcile"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/resource"
	"mape-netplan/schema"
)

// TestMemory reads back from our files, of either backend, the line that they
// were made for, and makes the very same table of it.
func TestMemory(t *testing.T) {
	for backend, machine := range map[string]string{"netplan": gatewaytest.CloudInit, "networkd": "-- etc/systemd/network/wan.network --\n[Match]\nName=eth1\n"} {
		for _, section := range []string{
			gatewaytest.LineSection, "{mtu: 1400, " + gatewaytest.LineSection[1:], "{tunnel: ipoe, " + gatewaytest.LineSection[1:],
			"{inbound: accept, forwards: [{protocol: tcp, port: 1776, to: 192.168.1.20}], " + gatewaytest.LineSection[1:],
		} {
			section = "{backend: " + backend + ", " + section[1:]
			h, _ := hosttest.HostOf(t, machine)
			f, err := facts.Gather(h)
			if err != nil {
				t.Fatal(err)
			}
			g := gatewaytest.MustResolve(t, section, f)
			if _, err := engine.Converge(t.Context(), h, gateway.Compile(g, f)); err != nil {
				t.Fatal(err)
			}
			owned, err := facts.ReadOwned(h, facts.Facts{})
			if err != nil {
				t.Fatal(err)
			}
			if m := owned.Memory; m == nil || m.CE != g.Softwire.CE() || m.MTU != g.Tunnel.MTU {
				t.Fatalf("%s: remembers %+v", section, m)
			}
			// Without the line and the MTU, which are found out.
			bare := strings.NewReplacer("prefix: '2400:4050:5c71:af00::/56'", "provider: auto", "mtu: 1400, ", "").Replace(section)
			guard := gateway.GuardOf(gatewaytest.SectionOf(t, bare), facts.Facts{Owned: owned})
			if guard.Why != nil || guard.Table.Text() != gatewaytest.TableOf(g).Text() {
				t.Errorf("%s: %v: the guard is not the table of a run, but\n%s", section, guard.Why, guard.Table.Text())
			}
			// A prefix that is given goes before what is remembered.
			c := gatewaytest.SectionOf(t, strings.Replace(section, "5c71:af00", "5c71:b000", 1))
			c.Forwards = nil
			if other := gateway.GuardOf(c, facts.Facts{Owned: owned}); other.Why != nil || other.Line.Softwire.CE() == g.Softwire.CE() {
				t.Errorf("%s: with another prefix: %v, %v", section, other.Why, other.Line)
			}
			// A file that was edited by hand tells nothing.
			for _, p := range owned.Files {
				if err := h.Root.WriteFile(host.Local(p), []byte(host.Heading+"[[["), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if owned, err = facts.ReadOwned(h, facts.Facts{}); err != nil || owned.Memory != nil {
				t.Errorf("%s: edited: remembers %+v, %v", section, owned.Memory, err)
			}
		}
	}
}

// TestWall lets nothing through the tunnels while no line is remembered.
func TestWall(t *testing.T) {
	outside := facts.Owned{Tunnels: []string{"old0"}, Memory: &facts.Memory{CE: gatewaytest.SectionOf(t, "{prefix: '2001:db8::/56'}").Prefix.Addr()}}
	for _, test := range []struct {
		section, tunnels, why string
		owned                 facts.Owned
	}{
		{gatewaytest.Auto, "mape0", "no earlier run has left a line to remember", facts.Owned{}},
		{"{tunnel: ipoe}", "old0 ipoe", "no earlier run", facts.Owned{Tunnels: []string{"old0"}}},
		{gatewaytest.Auto, "old0 mape0", "2001:db8::", outside},
		{"", "old0", "no readable section", outside},
		{"", "mape0", "no readable section", facts.Owned{}},
	} {
		var c *schema.Config
		if test.section != "" {
			c = gatewaytest.SectionOf(t, test.section)
		}
		g := gateway.GuardOf(c, facts.Facts{Owned: test.owned})
		if g.Why == nil || !strings.Contains(g.Why.Error(), test.why) || strings.Join(g.Tunnels, " ") != test.tunnels {
			t.Errorf("%q: guards %q: %v", test.section, g.Tunnels, g.Why)
		}
		for _, tunnel := range g.Tunnels {
			for _, rule := range []string{`iifname "` + tunnel + `" drop`, `oifname "` + tunnel + `" drop`} {
				if !strings.Contains(g.Table.Text(), rule) {
					t.Errorf("%q: %s is not in\n%s", test.section, rule, g.Table.Text())
				}
			}
			if !gateway.Guards(g.Table, tunnel) {
				t.Errorf("%q: is not seen to guard %s", test.section, tunnel)
			}
		}
		if gateway.Guards(g.Table, "other0") {
			t.Errorf("%q: is seen to guard what it does not", test.section)
		}
	}
}

// TestGuardOfRenamed guards the tunnel that the files have as well as the one
// that the section names now, whose NAT it is.
func TestGuardOfRenamed(t *testing.T) {
	owned := facts.Owned{Tunnels: []string{"wan4"}, Memory: &facts.Memory{CE: netip.MustParseAddr(gatewaytest.CeOfLine)}}
	same, renamed := gateway.GuardOf(gatewaytest.SectionOf(t, "{tunnel: wan4}"), facts.Facts{Owned: owned}), gateway.GuardOf(gatewaytest.SectionOf(t, "{tunnel: new4}"), facts.Facts{Owned: owned})
	for _, g := range []gateway.Guard{same, renamed} {
		if g.Why != nil || !g.Holds(g.Table) {
			t.Errorf("%v: %v: the table does not guard them:\n%s", g.Tunnels, g.Why, g.Table.Text())
		}
	}
	if same.Table.Text() != gatewaytest.TableOf(same.Line).Text() {
		t.Errorf("a tunnel that was not renamed has\n%s", same.Table.Text())
	}
	for _, rule := range []string{`iifname "wan4" drop`, `oifname "wan4" drop`} {
		if strings.Count(renamed.Table.Text(), rule) != 1 {
			t.Errorf("%s is not once in\n%s", rule, renamed.Table.Text())
		}
	}
	if renamed.Holds(resource.Table{Table: gatewaytest.TableOf(renamed.Line)}) || renamed.Holds(resource.Table{Table: gateway.Wall([]string{"new4"})}) {
		t.Error("a table that leaves wan4 open is taken for the guard")
	}
}

// TestGuardOfChanged guards by the section as it is now, where it is of the remembered line, and else by the copy of the
// last good one: a forward that was deleted since is not open at boot.
func TestGuardOfChanged(t *testing.T) {
	const forward = "forwards: [{protocol: tcp, port: 1776, to: 192.168.1.20}]"
	owned := facts.Owned{Tunnels: []string{"mape0"}, Memory: &facts.Memory{CE: netip.MustParseAddr(gatewaytest.CeOfLine)}}
	owned.Proven = gatewaytest.SectionOf(t, "{wan: eth1, lan: eth0, "+forward+"}")
	for _, test := range []struct {
		section string
		open    bool
	}{
		{"", true},
		{"{wan: eth1, lan: eth0, " + forward + "}", true},
		{gatewaytest.Auto, false},
		{gatewaytest.LineSection, false},
		{"{wan: eth0, lan: eth1}", false},
		{"{prefix: '2400:4050:5c71:b000::/56'}", true},
		{"{provider: biglobe}", true},
	} {
		var c *schema.Config
		if test.section != "" {
			c = gatewaytest.SectionOf(t, test.section)
		}
		g := gateway.GuardOf(c, facts.Facts{Owned: owned})
		if g.Why != nil || g.Line.Softwire.CE().String() != gatewaytest.CeOfLine || strings.Contains(g.Table.Text(), "192.168.1.20") != test.open {
			t.Errorf("%q: %v: the guard is\n%s", test.section, g.Why, g.Table.Text())
		}
	}
}

// TestRenamedStops lets nothing of any kind out by a tunnel that is to have
// another name, though the NAT of the line is in place.
func TestRenamedStops(t *testing.T) {
	l := gatewaytest.BareRig(t, gatewaytest.NatKinds["ocn"])
	g := l.Gateway()
	old := g.Tunnel.Link
	g.Tunnel.Link = "new4"
	if err := gateway.Walled(gatewaytest.TableOf(g), []string{old}).Write(l.Conn); err != nil {
		t.Fatal(err)
	}
	for _, from := range []*hosttest.NS{l.Lan, l.Gw} {
		for _, c := range gatewaytest.Sockets(t, from, 20) {
			c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(gatewaytest.Server+":3478"))
		}
		from.Try("ping", "-c1", "-W1", gatewaytest.Server)
	}
	if n := l.Quiet(); n != 0 {
		t.Errorf("%d packets left", n)
	}
}

// TestWallStops holds up every packet at a real interface, ours, the LAN's and
// the internet's.
func TestWallStops(t *testing.T) {
	l := gatewaytest.BareRig(t, gatewaytest.NatKinds["ocn"])
	if err := gateway.Wall([]string{"mape0"}).Write(l.Conn); err != nil {
		t.Fatal(err)
	}
	for _, from := range []*hosttest.NS{l.Lan, l.Gw} {
		for _, c := range gatewaytest.Sockets(t, from, 20) {
			c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(gatewaytest.Server+":3478"))
		}
		from.Try("ping", "-c1", "-W1", gatewaytest.Server)
	}
	l.Inject(t, hosttest.UdpTo(gatewaytest.Server, 53, "192.168.1.10", 53, "x"))
	if n := l.Quiet(); n != 0 {
		t.Errorf("%d packets left", n)
	}
	// The NAT takes its place, and the same host gets out.
	if err := l.Table().Write(l.Conn); err != nil {
		t.Fatal(err)
	}
	l.ServeUDP(t)
	if _, err := gatewaytest.Ask(gatewaytest.Sockets(t, l.Lan, 1)[0], 1, 10); err != nil {
		t.Error(err)
	}
}

// TestGuardStays leaves the table of a gateway at work alone, whatever is
// remembered, and puts back what was flushed.
func TestGuardStays(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Converge(t, g.StandIn(t))
	table := func() string {
		live, err := resource.Table{}.Read(t.Context(), g.H)
		if err != nil {
			t.Fatal(err)
		}
		return live.Text()
	}
	before := table()
	put := func(section string) (made bool) {
		g.Do(func() {
			var err error
			if _, made, err = reconcile.NewRun(g.H).PutGuard(t.Context(), gatewaytest.SectionOf(t, section)); err != nil {
				t.Fatal(err)
			}
		})
		return made
	}
	if put(gatewaytest.Auto) || put("{inbound: accept}") || table() != before {
		t.Error("it has replaced the table of a gateway at work")
	}
	for _, harm := range []string{"flush table ip mape", "delete table ip mape", "flush ruleset", "flush chain ip mape postrouting"} {
		g.Exec(t, "nft", harm)
		if !put(gatewaytest.Auto) || table() != before {
			t.Errorf("after %s the table is\n%s", harm, table())
		}
	}
}

// TestUnguardOfAnother puts the table of a gateway at work back, which a guard for another tunnel has replaced, and
// leaves the guard where that table had been flushed.
func TestUnguardOfAnother(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		g := gatewaytest.NewMachine(t)
		g.Converge(t, g.StandIn(t))
		if flushed {
			g.Exec(t, "nft", "flush table ip mape")
		}
		table := func() string {
			live, err := resource.Table{}.Read(t.Context(), g.H)
			if err != nil {
				t.Fatal(err)
			}
			return live.Text()
		}
		before := table()
		g.Do(func() {
			run := reconcile.NewRun(g.H)
			if _, made, err := run.PutGuard(t.Context(), gatewaytest.SectionOf(t, "{tunnel: new4}")); !made || err != nil {
				t.Fatal(made, err)
			}
			guard := table()
			left, err := run.TakeBack(t.Context())
			want := before
			if flushed {
				want = guard
			}
			if got := table(); got != want || flushed != (err != nil) || flushed != (len(left) == 1) {
				t.Errorf("flushed %v: %q is left: %v, and the table is\n%s", flushed, hosttest.Names(left), err, got)
			}
		})
	}
}

// TestTakeBackAfterAll takes nothing back once a run has converged: a line that was withdrawn is an error, after the
// gateway was taken down.
func TestTakeBackAfterAll(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Converge(t, g.StandIn(t))
	g.Do(func() {
		run := reconcile.NewRun(g.H)
		if _, made, err := run.PutGuard(t.Context(), gatewaytest.SectionOf(t, "{tunnel: new4}")); !made || err != nil {
			t.Fatal(made, err)
		}
		if _, err := run.Converge(t.Context(), []engine.Resource{resource.Table{Table: nft.Table{Name: nat.Name}}}); err != nil {
			t.Fatal(err)
		}
		g.Exec(t, "ip", "link", "del", "mape0")
		if left, err := run.TakeBack(t.Context()); left != nil || err != nil {
			t.Errorf("%q is left: %v", hosttest.Names(left), err)
		}
	})
	if out := g.Exec(t, "nft", "list", "tables"); out != "" {
		t.Errorf("there is %s", out)
	}
}
