package watch

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/sysctld"
)

// TestWatchFollowsTheLine waits for the line behind a guard, takes the first
// prefix up, then another one, and holds it when the line goes.
func TestWatchFollowsTheLine(t *testing.T) {
	w := newWatch(t, gatewaytest.Auto)
	w.says(t, 5*second, "waiting: eth1 has no global IPv6 address yet")
	w.says(t, 5*second, "the guard alone: ", "changed in")
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
		begin := time.Now()
		t.Logf("%s\nin %v", w.says(t, 2*second, "CE "+step.ce, "changed in"), time.Since(begin).Round(time.Millisecond))
		w.rest(t)
		out := w.Exec(t, "sh", "-c", "ip -6 address show dev eth1; cat "+w.Dir+netplan.Path)
		if strings.Count(out, step.ce) != 3 || strings.Contains(out, gatewaytest.CeOfLine) == (step.ce != gatewaytest.CeOfLine) {
			t.Errorf("after %s there is\n%s", step.do, out)
		}
	}
	w.forget()
	w.Exec(t, "ip", "address", "del", gatewaytest.LineAddress, "dev", "eth1")
	w.says(t, second, "waiting: ", "until then the last line is held: CE "+gatewaytest.CeOfLine)
	w.Exec(t, "nft", "delete", "table", "ip", "mape")
	w.says(t, second, "mended table ip mape")
	w.rest(t)
	if out := w.Exec(t, "sh", "-c", "ip -6 address show dev eth1; ip route; cat "+w.Dir+netplan.Path); strings.Count(out, gatewaytest.CeOfLine) != 3 || !strings.Contains(out, "default dev mape0") {
		t.Errorf("without a line there is\n%s", out)
	}
}

// TestWatchRemembers comes up before the line does, with what its files say.
func TestWatchRemembers(t *testing.T) {
	first := newWatch(t, gatewaytest.Auto)
	first.Exec(t, "ip", "address", "add", gatewaytest.LineAddress, "dev", "eth1")
	first.says(t, 10*second, "CE "+gatewaytest.CeOfLine, "changed in")
	first.rest(t)
	first.stop()
	// A boot: nothing of the kernel is left, and there is no line.
	first.Exec(t, "sh", "-ec", "nft flush ruleset; ip address flush dev eth1 scope global; ip route del default dev mape0; echo 0 >/proc/sys/net/ipv4/ip_forward")
	w := startWatch(t, first.Machine, gatewaytest.Auto)
	w.says(t, second, "until then the last line is held: CE "+gatewaytest.CeOfLine)
	w.says(t, 2*second, "CE "+gatewaytest.CeOfLine, "changed in", "table ip mape")
	// The line says otherwise.
	w.Exec(t, "ip", "address", "add", gatewaytest.OtherAddress, "dev", "eth1")
	w.says(t, 2*second, "CE "+gatewaytest.CeOfOther, "changed in", "table ip mape")
}

// TestWatchBeginsWithoutASection: one that is bad when the service starts leaves
// a gateway at work as it is, whatever its tunnel is called.
func TestWatchBeginsWithoutASection(t *testing.T) {
	for _, tunnel := range []string{gateway.DefaultTunnel, "wan4"} {
		g := gatewaytest.NewMachine(t)
		g.Exec(t, "sh", "-ec", "ip link add "+tunnel+" type bridge; ip link set "+tunnel+" up")
		w := startWatch(t, g, "{tunnel: "+tunnel+", "+gatewaytest.LineSection[1:])
		w.says(t, 10*second, "CE "+gatewaytest.CeOfLine, "changed in")
		w.rest(t)
		w.stop()
		w.section(t, "{tunnel: "+tunnel+", nonsense: 1}")
		before := g.Snapshot(t)
		w = startWatch(t, g, "{tunnel: "+tunnel+", nonsense: 1}")
		w.says(t, second, "<3>", "nonsense")
		w.rest(t)
		gatewaytest.Unchanged(t, before, g.Snapshot(t))
		// It knows no NAT without a section, but keeps everything else in.
		w.Exec(t, "nft", "flush", "ruleset")
		w.await(t, "the guard is back", 2*second, func() bool {
			out, _ := w.Try("nft", "list", "table", "ip", "mape")
			return strings.Contains(out, `oifname "`+tunnel+`" drop`)
		})
	}
}

// TestWatchLeavesOthers leaves alone what somebody else puts where the gateway
// of an earlier line had it.
func TestWatchLeavesOthers(t *testing.T) {
	w := newWatch(t, gatewaytest.Auto)
	w.Exec(t, "ip", "address", "add", gatewaytest.LineAddress, "dev", "eth1")
	w.says(t, 10*second, "CE "+gatewaytest.CeOfLine, "changed in")
	w.rest(t)
	w.Exec(t, "sh", "-ec", "ip address add "+gatewaytest.OtherAddress+" dev eth1; ip address del "+gatewaytest.LineAddress+" dev eth1")
	w.says(t, 5*second, "CE "+gatewaytest.CeOfOther, "changed in")
	w.rest(t)
	w.forget()
	w.Exec(t, "ip", "address", "add", gatewaytest.CeOfLine+"/128", "dev", "eth1", "nodad")
	w.Exec(t, "nft", "delete", "table", "ip", "mape") // So that it has certainly looked.
	w.says(t, second, "mended table ip mape")
	w.rest(t)
	if out := w.Exec(t, "ip", "-6", "address", "show", "dev", "eth1"); !strings.Contains(out, gatewaytest.CeOfLine+"/128") {
		t.Errorf("it has deleted what is not its own:\n%s\n%s", out, strings.Join(w.log, "\n"))
	}
}

// TestWatchForwards goes on without a forward whose port another line does not
// have, and says so.
func TestWatchForwards(t *testing.T) {
	w := newWatch(t, "{wan: eth1, lan: eth0, forwards: [{protocol: tcp, port: 1776, to: 192.168.1.20}]}")
	w.Exec(t, "ip", "address", "add", gatewaytest.LineAddress, "dev", "eth1")
	w.says(t, 10*second, "CE "+gatewaytest.CeOfLine, "changed in")
	if out := w.Exec(t, "nft", "list", "table", "ip", "mape"); !strings.Contains(out, "192.168.1.20") {
		t.Errorf("there is no forward in\n%s", out)
	}
	w.forget()
	w.Exec(t, "sh", "-ec", "ip address add "+gatewaytest.OtherAddress+" dev eth1; ip address del "+gatewaytest.LineAddress+" dev eth1")
	w.says(t, 2*second, "<3>section:", "port: 1776 is not in the port set", "the gateway works without that forward")
	w.says(t, 2*second, "CE "+gatewaytest.CeOfOther, "changed in")
}

// TestWatchSection takes a changed section up, keeps the last good one while
// it is bad or gone, and says so once.
func TestWatchSection(t *testing.T) {
	w := newWatch(t, gatewaytest.LineSection)
	w.says(t, 10*second, "CE "+gatewaytest.CeOfLine)
	w.forget()
	w.section(t, strings.Replace(gatewaytest.LineSection, "5c71:af00", "5c71:b000", 1))
	w.says(t, 2*second, "CE "+gatewaytest.CeOfOther, "changed in")
	w.rest(t)
	for _, bad := range []struct{ do, says string }{
		{"echo 'mape: {prefix: nonsense}' >$0", "<3>section:1:16: mape.prefix"},
		{"rm $0", "<3>open "},
	} {
		w.forget()
		w.Exec(t, "sh", "-ec", bad.do, w.Files[0])
		w.says(t, second, bad.says, "the last good section stays in force")
		w.Exec(t, "nft", "delete", "table", "ip", "mape")
		w.says(t, second, "mended table ip mape")
		w.rest(t)
		if n := strings.Count(strings.Join(w.log, "\n"), "the last good section stays"); n != 1 {
			t.Errorf("said %d times: %q", n, w.log)
		}
		// Whoever asks is told again.
		w.forget()
		w.hangup <- syscall.SIGHUP
		w.says(t, second, bad.says)
		w.await(t, "ready again", second, func() bool {
			all := strings.Join(w.states, "|")
			return strings.Contains(all, "RELOADING=1") && strings.Contains(all[strings.LastIndex(all, "RELOADING=1"):], "READY=1")
		})
	}
	w.forget()
	w.section(t, gatewaytest.LineSection)
	w.says(t, second, "the section is good again")
	w.says(t, 2*second, "CE "+gatewaytest.CeOfLine, "changed in")
}

// TestWatchTriesWhenAsked: what failed is tried again after 1, 2, 4 seconds, and at once when somebody asks.
func TestWatchTriesWhenAsked(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Exec(t, "sh", "-ec", "ip link add mape0 type bridge; ip link set mape0 up")
	theirs := filepath.Join(g.Dir, sysctld.SysctlPath)
	hosttest.WriteFile(t, theirs, "net.ipv4.ip_forward = 0\n")
	w := startWatch(t, g, gatewaytest.LineSection)
	w.says(t, 5*second, "<3>cannot bring about CE "+gatewaytest.CeOfLine, "was not written by mape-netplan")
	time.Sleep(4500 * time.Millisecond) // Midway between the third try and the fourth.
	if err := os.Remove(theirs); err != nil {
		t.Fatal(err)
	}
	time.Sleep(700 * time.Millisecond)
	w.await(t, "it waits", second, func() bool { return !strings.Contains(strings.Join(w.log, "\n"), "changed in") })
	w.hangup <- syscall.SIGHUP
	w.says(t, 2*second, "CE "+gatewaytest.CeOfLine, "changed in")
}

// TestWatchWaitsForOthers mends when another run has ended.
func TestWatchWaitsForOthers(t *testing.T) {
	w := newWatch(t, gatewaytest.LineSection)
	w.says(t, 10*second, "CE "+gatewaytest.CeOfLine)
	w.rest(t)
	w.forget()
	other := &host.Host{Root: w.H.Root, Net: w.H.Net}
	unlock, err := other.Lock(t.Context(), "somebody")
	if err != nil {
		t.Fatal(err)
	}
	w.Exec(t, "nft", "delete", "table", "ip", "mape")
	w.says(t, second, "waiting: another run is at work: somebody, pid ")
	if out := w.Exec(t, "nft", "list", "tables"); out != "" {
		t.Errorf("it has not waited: %s", out)
	}
	unlock()
	w.says(t, second, "mended table ip mape")
}
