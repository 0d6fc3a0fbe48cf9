package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/nft"
)

// TestWatchReadsTheTableAgain: a table that cannot be read for a while, and is gone, is back when it can be, without an
// event.
func TestWatchReadsTheTableAgain(t *testing.T) {
	t.Parallel()
	g := newMachine(t)
	namespace, err := unix.Dup(g.FD())
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(namespace)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	// to has nf_tables asked in the namespace, or, of a file that is not one, nowhere.
	to := func(fd int) {
		t.Helper()
		if err := unix.Dup3(fd, namespace, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	}
	g.H.NFT = nft.OpenNS(namespace)
	w := startService(t, g, gatewaytest.LineSection)
	defer w.stop()
	w.says(t, "CE "+gatewaytest.CeOfLine, "changed in")
	w.looks(t)
	w.forget()
	to(int(null.Fd()))
	w.Exec(t, "nft", "delete", "table", "ip", "mape")
	w.says(t, "<3>table ip mape: reading nftables: ")
	seen := 0
	w.await(t, "", func() bool { seen = w.looked; return true })
	w.await(t, "it looks again by itself", func() bool { return w.looked >= seen+5 })
	to(g.FD())
	w.says(t, "restored table ip mape: it was gone")
	if n := w.said("reading nftables"); n != 1 {
		t.Errorf("said %d times: %q", n, w.log)
	}
}

// TestWatchRepairsWhenItCan: what could not be restored because its interface was away is back as soon as that is, and is
// not taken for undone.
func TestWatchRepairsWhenItCan(t *testing.T) {
	t.Parallel()
	w := newService(t, gatewaytest.LineSection, func(w *Watch) { w.timings.repair, w.timings.repairMost, w.timings.failedMost = never, never, never })
	w.says(t, "CE "+gatewaytest.CeOfLine, "changed in")
	w.forget()
	name := "address " + gatewaytest.CeOfLine + " dev eth1"
	w.Exec(t, "ip", "link", "del", "eth1")
	w.says(t, "<3>cannot restore "+name+": there is no interface eth1; retrying")
	w.await(t, "the status says it", func() bool { return strings.Contains(w.status(), "; cannot keep "+name) })
	w.Exec(t, "sh", "-ec", "ip link add eth1 type bridge; ip link set eth1 up")
	w.says(t, "<5>restored "+name+": it was gone")
	w.await(t, "the status does not say it any more", func() bool { return !strings.Contains(w.status(), "cannot keep") })
	if n := w.said("does not stay"); n != 0 {
		t.Errorf("it says %q", w.log)
	}
}

// TestWatchBacksOff restores what another program undoes each time less and less often, names it, and goes on with
// everything else.
func TestWatchBacksOff(t *testing.T) {
	t.Parallel()
	w := newService(t, gatewaytest.LineSection, func(w *Watch) { w.timings.stable = 3 * time.Second })
	w.says(t, "CE "+gatewaytest.CeOfLine)
	w.looks(t)
	w.forget()
	stop := filepath.Join(t.TempDir(), "stop")
	end := w.background(t, "until [ -e $0 ]; do ip route del default dev mape0 2>/dev/null; sleep 0.02; done", stop)
	t.Log(w.says(t, "<4>route default dev mape0 does not stay restored: 8 times in a row it was gone"))
	w.await(t, "the status says it", func() bool { return strings.Contains(w.status(), "cannot keep route default dev mape0") })
	w.Exec(t, "sh", "-c", "nft delete table ip mape; echo 0 >/proc/sys/net/ipv4/ip_forward")
	w.says(t, "restored table ip mape")
	w.says(t, "restored sysctl net/ipv4/ip_forward")
	if n := w.said("route default dev mape0"); n != tolerated {
		t.Errorf("it says so %d times, want %d: %q", n, tolerated, w.log)
	}
	// A reload says it again.
	w.forget()
	w.hangup <- syscall.SIGHUP
	w.says(t, "<4>route default dev mape0 does not stay restored")
	if err := os.WriteFile(stop, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	end()
	w.await(t, "the route is back", func() bool {
		out, err := w.Try("ip", "route", "show", "default")
		return err == nil && strings.Contains(out, "mape0")
	})
	w.says(t, "route default dev mape0 is stable again")
}

// background runs a shell command beside the test, and returns what waits for its end. The test does not end before.
func (w *service) background(t *testing.T, command string, args ...string) (end func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if out, err := w.Try("sh", append([]string{"-c", command}, args...)...); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}()
	end = func() { <-done }
	t.Cleanup(func() {
		for _, stop := range args {
			os.WriteFile(stop, nil, 0o644)
		}
		end()
	})
	return end
}

// TestWatchRepairsInAStorm restores what was deleted while the events of others go on.
func TestWatchRepairsInAStorm(t *testing.T) {
	for what, storm := range map[string]struct{ lines, command string }{
		"addresses of others":        {"address add 10.1.0.$i/32 dev dummy0\naddress del 10.1.0.$i/32 dev dummy0\n", "ip -batch"},
		"routes of a routing daemon": {"route add 172.16.0.$i/32 dev dummy0 proto bgp\nroute del 172.16.0.$i/32 dev dummy0\n", "ip -batch"},
		"rules of others":            {"add element ip others s { 10.1.0.$i }\ndelete element ip others s { 10.1.0.$i }\n", "nft -f"},
		"addresses of the line":      {"address add 2001:db8:0:$i::1/64 dev eth1\naddress del 2001:db8:0:$i::1/64 dev eth1\n", "ip -batch"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newService(t, gatewaytest.LineSection)
			w.says(t, "CE "+gatewaytest.CeOfLine)
			w.Exec(t, "sh", "-ec", "ip link add dummy0 type bridge; ip link set dummy0 up; nft 'add table ip others; add set ip others s { type ipv4_addr; }'")
			dir := t.TempDir()
			lines := filepath.Join(dir, "lines")
			var b strings.Builder
			for i := range 200 {
				b.WriteString(strings.ReplaceAll(storm.lines, "$i", fmt.Sprint(i+1)))
			}
			if err := os.WriteFile(lines, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			stop, turns := filepath.Join(dir, "stop"), filepath.Join(dir, "turns")
			w.background(t, "until [ -e $0 ]; do "+storm.command+" "+lines+" || exit 1; echo >>"+turns+"; done", stop)
			turn := func() (n int) {
				data, _ := os.ReadFile(turns)
				return len(data)
			}
			w.await(t, "the storm", func() bool { return turn() > 2 })
			w.forget()
			w.Exec(t, "ip", "route", "del", "default", "dev", "mape0")
			w.says(t, "restored route default dev mape0")
			now := turn()
			w.await(t, "the storm goes on", func() bool { return turn() > now })
		})
	}
}

// TestWatchLosesEvents: what the kernel had no room for wakes as well.
func TestWatchLosesEvents(t *testing.T) {
	t.Parallel()
	w := newService(t, gatewaytest.LineSection)
	w.says(t, "CE "+gatewaytest.CeOfLine)
	w.looks(t)
	before := 0
	w.await(t, "", func() bool { before = w.looked; return true })
	for _, c := range w.events.Sockets {
		if err := c.SetReadBuffer(2048); err != nil {
			t.Fatal(err)
		}
	}
	// So many messages in one system call are faster than any reader.
	w.Exec(t, "sh", "-ec", "ip link add dummy0 type bridge; i=0; while [ $i -lt 500 ]; do echo address add 10.7.$((i/250)).$((i%250)) dev dummy0; i=$((i+1)); done | ip -batch -; ip link del dummy0")
	lost := false
	for line := range strings.Lines(w.Exec(t, "cat", "/proc/net/netlink")) {
		field := strings.Fields(line)
		lost = lost || field[1] == "0" && field[8] != "0" && field[8] != "Drops"
	}
	if !lost {
		t.Error("the kernel found room for everything")
	}
	w.await(t, "it looks", func() bool { return w.looked > before })
	w.forget()
	w.Exec(t, "sh", "-c", "nft delete table ip mape; ip route del default dev mape0")
	w.says(t, "restored table ip mape")
	w.says(t, "restored route default dev mape0")
}
