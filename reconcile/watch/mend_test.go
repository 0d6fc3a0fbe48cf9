package watch

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/sysctld"
)

// TestWatchReadsTheGuardAgain: a table that cannot be read for a while, and is
// gone, is back a second after it can be.
func TestWatchReadsTheGuardAgain(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Exec(t, "sh", "-ec", "ip link add mape0 type bridge; ip link set mape0 up")
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
	// to has nf_tables asked in the namespace, or, of a file that is none, nowhere.
	to := func(fd int) {
		t.Helper()
		if err := unix.Dup3(fd, namespace, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	}
	g.H.NFT = nft.OpenNS(namespace)
	w := startWatch(t, g, gatewaytest.LineSection)
	defer w.stop()
	w.says(t, 10*second, "CE "+gatewaytest.CeOfLine, "changed in")
	w.rest(t)
	w.forget()
	to(int(null.Fd()))
	w.Exec(t, "nft", "delete", "table", "ip", "mape")
	w.says(t, second, "<3>table ip mape: reading nftables: ")
	time.Sleep(2500 * time.Millisecond) // Nothing else has it look any more.
	to(g.FD())
	took := w.await(t, "it is mended", mendMostTable+second, func() bool {
		return strings.Contains(strings.Join(w.log, "\n"), "mended table ip mape, which was gone")
	})
	t.Log(took.Round(time.Millisecond))
	w.rest(t)
	if n := strings.Count(strings.Join(w.log, "\n"), "reading nftables"); n != 1 {
		t.Errorf("said %d times: %q", n, w.log)
	}
}

// TestFailing: a pause doubles with the time that something fails, not with how
// often it is tried, and the table's stays short.
func TestFailing(t *testing.T) {
	begin := time.Now()
	for _, r := range []struct {
		engine.Resource
		after, want time.Duration
	}{
		{resource.Table{}, 0, mendFirst},
		{resource.Table{}, 150 * time.Millisecond, 150 * time.Millisecond},
		{gateway.AtLeast{}, time.Hour, mendMostTable},
		{resource.Sysctl{}, 0, mendFirst},
		{resource.Sysctl{}, time.Minute, time.Minute},
		{resource.Sysctl{}, time.Hour, mendMost},
	} {
		since := time.Time{}
		for range 20 {
			failing(&since, begin, mostPause(r))
		}
		if got := failing(&since, begin.Add(r.after), mostPause(r)); got != r.want {
			t.Errorf("%s after %v: %v, want %v", r.Name(), r.after, got, r.want)
		}
	}
}

// TestWatchMendsWhenItCan: what could not be mended because its interface was
// away is back as soon as that is, and nobody is said to have undone it.
func TestWatchMendsWhenItCan(t *testing.T) {
	w := newWatch(t, gatewaytest.LineSection)
	w.says(t, 10*second, "CE "+gatewaytest.CeOfLine, "changed in")
	w.rest(t)
	name := "address " + gatewaytest.CeOfLine + " dev eth1"
	for range 2 {
		w.forget()
		w.Exec(t, "sh", "-ec", "ip link set eth1 down; ip link set eth1 name wan9")
		w.says(t, second, "<3>cannot mend "+name+": there is no interface eth1; trying again")
		w.await(t, "the status says it", second, func() bool {
			return strings.Contains(w.states[len(w.states)-1], "; cannot keep "+name)
		})
		time.Sleep(4 * time.Second) // Tried after 3.2 s, it would be again after 6.4.
		w.Exec(t, "sh", "-ec", "ip link set wan9 name eth1; ip link set eth1 up")
		w.says(t, second, "<5>mended "+name+", which was gone")
		if passes := w.rest(t); strings.Contains(strings.Join(w.log, "\n"), "does not stay") {
			t.Errorf("after %d passes it says %q", passes, w.log)
		}
		if status := w.states[len(w.states)-1]; strings.Contains(status, "cannot keep") {
			t.Errorf("the status is %s", status)
		}
	}
}

// TestMending counts failures apart from what was undone, and tries them again
// every few seconds.
func TestMending(t *testing.T) {
	begin, a := time.Now(), resource.Address{Link: "eth1"}
	m := &mending{}
	for after := range 200 {
		most := m.failed(a, 0, begin.Add(time.Duration(after)*time.Second))
		if want := min(max(time.Duration(after)*time.Second, mendFirst), mendMostFailed); most != want {
			t.Errorf("after %d s it pauses for %v, want %v", after, most, want)
		}
	}
	if got := m.failed(a, 7, begin.Add(time.Hour)); got != mendFirst {
		t.Errorf("since its link is there it pauses for %v, want %v", got, mendFirst)
	}
	if got := (&mending{unmade: begin}).failed(resource.Table{}, 0, begin.Add(time.Hour)); got != mendMostTable {
		t.Errorf("without the guard it pauses for %v, want %v", got, mendMostTable)
	}
	m.until = begin.Add(time.Hour)
	if here, away := m.wait(7), m.wait(0); here <= 0 || away != 0 {
		t.Errorf("it waits %v, and %v where its link has gone", here, away)
	}
	if got := m.mended(a); got != mendFirst || m.count != 1 {
		t.Errorf("mended %d times it pauses for %v, want %v", m.count, got, mendFirst)
	}
	if wait := m.wait(0); wait <= 0 {
		t.Error("whoever undoes it by the link is not waited for")
	}
}

// TestMendingWaitsForTheTunnel looks at what goes with a tunnel no more often
// than at the tunnel.
func TestMendingWaitsForTheTunnel(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	all := []engine.Resource{
		resource.Tunnel{Link: "mape0", Local: netip.MustParseAddr(gatewaytest.CeOfLine)},
		resource.Managed{Link: "mape0", Present: true},
		resource.Sysctl{Key: sysctld.FilterKey("mape0"), Value: "2"},
		resource.DefaultRoute("mape0"),
	}
	w := Watch{Host: g.H, mended: ledger{all[0].Name(): {until: time.Now().Add(time.Minute)}}}
	g.Do(func() {
		if now, again := w.drift(t.Context(), facts.Facts{}, all); len(now) > 0 || again < time.Minute/2 {
			t.Errorf("to be mended are %v, and the rest in %v", now, again)
		}
	})
}
