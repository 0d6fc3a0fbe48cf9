package watch

import (
	"path/filepath"
	"strings"
	"testing"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/resource"
)

// TestWatchFollowsTheLine waits for the line behind a guard, follows the first prefix, then another one, and keeps it
// when the line goes.
func TestWatchFollowsTheLine(t *testing.T) {
	t.Parallel()
	w := newService(t, gatewaytest.Auto)
	w.says(t, "waiting: eth1 has no global IPv6 address yet")
	w.says(t, "guard only: ", "changed in")
	if out := w.Exec(t, "nft", "list", "table", "ip", "mape"); !strings.Contains(out, `oifname "mape0" drop`) {
		t.Errorf("there is no guard while it waits: %s", out)
	}
	for _, step := range []struct{ do, ce string }{
		{"ip address add " + gatewaytest.LineAddress + " dev eth1", gatewaytest.CeOfLine},
		{"ip address add " + gatewaytest.OtherAddress + " dev eth1; ip address change " + gatewaytest.LineAddress + " dev eth1 preferred_lft 0 valid_lft 7200", gatewaytest.CeOfOther},
		{"ip address change " + gatewaytest.OtherAddress + " dev eth1 preferred_lft 0 valid_lft 7200; ip address change " + gatewaytest.LineAddress + " dev eth1 preferred_lft 7200 valid_lft 7200", gatewaytest.CeOfLine},
	} {
		w.forget()
		w.Exec(t, "sh", "-ec", step.do)
		t.Logf("%s", w.says(t, "CE "+step.ce, "changed in"))
		w.looks(t)
		out := w.Exec(t, "sh", "-c", "ip -6 address show dev eth1; cat "+w.Dir+netplan.Path)
		if strings.Count(out, step.ce) != 3 || strings.Contains(out, gatewaytest.CeOfLine) == (step.ce != gatewaytest.CeOfLine) {
			t.Errorf("after %s there is\n%s", step.do, out)
		}
	}
	w.forget()
	w.Exec(t, "ip", "address", "del", gatewaytest.LineAddress, "dev", "eth1")
	w.says(t, "waiting: ", "the last line is held: CE "+gatewaytest.CeOfLine)
	w.Exec(t, "nft", "delete", "table", "ip", "mape")
	w.says(t, "restored table ip mape")
	w.looks(t)
	if out := w.Exec(t, "sh", "-c", "ip -6 address show dev eth1; ip route; cat "+w.Dir+netplan.Path); strings.Count(out, gatewaytest.CeOfLine) != 3 || !strings.Contains(out, "default dev mape0") {
		t.Errorf("without a line there is\n%s", out)
	}
}

// TestWatchRemembers comes up before the line does, with what its files say.
func TestWatchRemembers(t *testing.T) {
	t.Parallel()
	first := newService(t, gatewaytest.Auto)
	first.Exec(t, "ip", "address", "add", gatewaytest.LineAddress, "dev", "eth1")
	first.says(t, "CE "+gatewaytest.CeOfLine, "changed in")
	first.stop()
	// A boot: nothing of the kernel is left, and there is no line.
	first.Exec(t, "sh", "-ec", "nft flush ruleset; ip address flush dev eth1 scope global; ip route del default dev mape0; echo 0 >/proc/sys/net/ipv4/ip_forward")
	w := startService(t, first.Machine, gatewaytest.Auto)
	w.says(t, "the last line is held: CE "+gatewaytest.CeOfLine)
	w.says(t, "CE "+gatewaytest.CeOfLine, "changed in", "table ip mape")
	// The line has another prefix.
	w.Exec(t, "ip", "address", "add", gatewaytest.OtherAddress, "dev", "eth1")
	w.says(t, "CE "+gatewaytest.CeOfOther, "changed in", "table ip mape")
}

// TestWatchLeavesOthers leaves alone what another program puts where the gateway of an earlier line had it.
func TestWatchLeavesOthers(t *testing.T) {
	t.Parallel()
	w := newService(t, gatewaytest.Auto)
	w.Exec(t, "ip", "address", "add", gatewaytest.LineAddress, "dev", "eth1")
	w.says(t, "CE "+gatewaytest.CeOfLine, "changed in")
	w.Exec(t, "sh", "-ec", "ip address add "+gatewaytest.OtherAddress+" dev eth1; ip address del "+gatewaytest.LineAddress+" dev eth1")
	w.says(t, "CE "+gatewaytest.CeOfOther, "changed in")
	w.looks(t)
	w.Exec(t, "ip", "address", "add", gatewaytest.CeOfLine+"/128", "dev", "eth1", "nodad")
	w.looks(t)
	if out := w.Exec(t, "ip", "-6", "address", "show", "dev", "eth1"); !strings.Contains(out, gatewaytest.CeOfLine+"/128") {
		t.Errorf("it has deleted what is not its own:\n%s", out)
	}
}

// TestWatchForwards goes on without a forward whose port another line does not have, and says so.
func TestWatchForwards(t *testing.T) {
	t.Parallel()
	w := newService(t, "{wan: eth1, lan: eth0, forwards: [{protocol: tcp, port: 1776, to: 192.168.1.20}]}")
	w.Exec(t, "ip", "address", "add", gatewaytest.LineAddress, "dev", "eth1")
	w.says(t, "CE "+gatewaytest.CeOfLine, "changed in")
	if out := w.Exec(t, "nft", "list", "table", "ip", "mape"); !strings.Contains(out, "192.168.1.20") {
		t.Errorf("there is no forward in\n%s", out)
	}
	w.forget()
	w.Exec(t, "sh", "-ec", "ip address add "+gatewaytest.OtherAddress+" dev eth1; ip address del "+gatewaytest.LineAddress+" dev eth1")
	w.says(t, "<3>section:", "port: 1776 is not in the port set", "the gateway works without that forward")
	w.says(t, "CE "+gatewaytest.CeOfOther, "changed in")
}

// TestWatchSeesARivalAgain: the kernel sends nothing about the routes that go with a link or an address, and one that
// comes back is a change all the same.
func TestWatchSeesARivalAgain(t *testing.T) {
	t.Parallel()
	w := newService(t, gatewaytest.LineSection)
	w.says(t, "CE "+gatewaytest.CeOfLine)
	w.Exec(t, "sh", "-ec", "ip link add r0 type bridge; ip link set r0 addrgenmode none; ip link set r0 up; ip address add 172.31.0.1/24 dev r0")
	for _, d := range []struct{ gone, back string }{
		{"ip link set r0 down", "ip link set r0 up"},
		{"ip address del 172.31.0.1/24 dev r0", "ip address add 172.31.0.1/24 dev r0"},
	} {
		for range 2 {
			w.looks(t)
			w.forget()
			w.Exec(t, "ip", "route", "prepend", "default", "via", "172.31.0.2")
			w.says(t, "<3>r0: "+resource.ErrRival.Error())
			w.Exec(t, "sh", "-ec", d.gone)
			w.says(t, "the line is up")
			w.Exec(t, "sh", "-ec", d.back)
		}
	}
}

// TestWatchBeginsWithoutASection: one that is bad when the service starts leaves a gateway at work as it is, whatever its
// tunnel is called.
func TestWatchBeginsWithoutASection(t *testing.T) {
	for _, tunnel := range []string{gateway.DefaultTunnel, "wan4"} {
		t.Run(tunnel, func(t *testing.T) {
			t.Parallel()
			g := gatewaytest.NewMachine(t)
			g.Exec(t, "sh", "-ec", "ip link add "+tunnel+" type bridge; ip link set "+tunnel+" up")
			w := startService(t, g, "{tunnel: "+tunnel+", "+gatewaytest.LineSection[1:])
			w.says(t, "CE "+gatewaytest.CeOfLine, "changed in")
			w.stop()
			w.Exec(t, "rm", "-r", filepath.Join(w.Dir, filepath.Dir(facts.SectionPath)))
			w.section(t, "{tunnel: "+tunnel+", nonsense: 1}")
			before := g.Snapshot(t)
			w = startService(t, g, "{tunnel: "+tunnel+", nonsense: 1}")
			w.says(t, "<3>", "nonsense")
			w.looks(t)
			gatewaytest.Unchanged(t, before, g.Snapshot(t))
			// It knows no NAT without a section, but lets nothing untranslated out.
			w.Exec(t, "nft", "flush", "ruleset")
			w.await(t, "the guard is back", func() bool {
				out, _ := w.Try("nft", "list", "table", "ip", "mape")
				return strings.Contains(out, `oifname "`+tunnel+`" drop`)
			})
		})
	}
}
