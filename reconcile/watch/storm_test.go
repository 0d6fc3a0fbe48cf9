package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mape-netplan/reconcile/internal/gatewaytest"
)

// A storm is ten thousand events, in chunks with a pause between them.
type storm struct {
	what, command, lines string
	pause                string // in seconds
	least                int    // passes: its end may be worth one
	dir                  string // has the chunks
}

var storms = []*storm{
	{what: "addresses of others", command: "ip -batch", pause: "0.1", least: 1,
		lines: "address add 10.1.%[1]d.%[2]d/32 dev dummy0\naddress del 10.1.%[1]d.%[2]d/32 dev dummy0\n"},
	{what: "routes of a routing daemon", command: "ip -batch", pause: "0.1",
		lines: "route add 172.16.%[1]d.%[2]d/32 dev dummy0 proto bgp\nroute del 172.16.%[1]d.%[2]d/32 dev dummy0\n"},
	{what: "rules of others", command: "nft -f", pause: "0.1",
		lines: "add element ip others s { 10.%[1]d.%[2]d.1 }\ndelete element ip others s { 10.%[1]d.%[2]d.1 }\n"},
	{what: "lifetimes", command: "ip -batch", pause: "0.1",
		lines: "address change 10.0.0.1/8 dev dummy0 valid_lft 1%03[1]d%03[2]d preferred_lft 100\naddress change 10.0.0.1/8 dev dummy0 valid_lft 2%03[1]d%03[2]d preferred_lft 100\n"},
	{what: "addresses of the line", command: "ip -batch", pause: "0", least: 1,
		lines: "address add 2001:db8:%[1]x:%[2]x::1/64 dev eth1\naddress del 2001:db8:%[1]x:%[2]x::1/64 dev eth1\n"},
}

func (s *storm) write(t *testing.T) {
	t.Helper()
	const chunks, pairs = 20, 5000
	s.dir = t.TempDir()
	for i := range chunks {
		var b strings.Builder
		for j := i * pairs / chunks; j < (i+1)*pairs/chunks; j++ {
			fmt.Fprintf(&b, s.lines, j/250, j%250+1)
		}
		if err := os.WriteFile(filepath.Join(s.dir, fmt.Sprintf("%02d", i)), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// rage runs the storm, and counts the passes from then on until the watch rests.
func (w *watchNS) rage(t *testing.T, s *storm) (took time.Duration, passes int) {
	t.Helper()
	before := w.calm(t)
	begin := time.Now()
	w.Exec(t, "sh", "-ec", "for f in "+s.dir+"/*; do "+s.command+" $f; rm $f; sleep "+s.pause+"; done")
	took = time.Since(begin)
	return took, w.calm(t) - before
}

// calm is rest for as long as events of others may wait in silence.
func (w *watchNS) calm(t *testing.T) int {
	t.Helper()
	for {
		before := w.rest(t)
		time.Sleep(quietOfOthers + 4*quiet)
		if now := w.rest(t); now == before {
			return now
		}
	}
}

// TestWatchStorm has ten thousand events of others cost one pass at most, though
// they go on for seconds and have pauses, and ten thousand of the line as few as
// the time allows in which a harm is to be mended.
func TestWatchStorm(t *testing.T) {
	w := newStormyWatch(t)
	for _, s := range storms {
		t.Run(s.what, func(t *testing.T) {
			s.write(t)
			took, passes := w.rage(t, s)
			t.Logf("%d passes in %v", passes, took.Round(time.Millisecond))
			allowed := s.least + int(took/mostOfOthers)
			if s.pause == "0" {
				// One each time that a harm may wait no longer, and until the watch has
				// learned that the pauses of a busy machine are no end, another three.
				allowed = s.least + 3 + int(took/most)
			}
			if passes < s.least || passes > allowed {
				t.Errorf("%d passes in %v, want %d to %d", passes, took, s.least, allowed)
			}
		})
	}
}

func newStormyWatch(t *testing.T) *watchNS {
	t.Helper()
	w := newWatch(t, gatewaytest.LineSection)
	w.says(t, 10*second, "CE "+gatewaytest.CeOfLine)
	w.Exec(t, "sh", "-ec", `
ip link add dummy0 type bridge; ip link set dummy0 up; ip address add 10.0.0.1/8 dev dummy0 valid_lft 999999 preferred_lft 100
nft 'add table ip others; add set ip others s { type ipv4_addr; }'`)
	return w
}

// TestWatchMendsInAStorm mends a harm amid ten thousand events as soon as any
// other, and of the storm's events has no more passes for that than the harm's
// own: the one that mends it, one after it, and one when it has held for a while.
func TestWatchMendsInAStorm(t *testing.T) {
	w := newStormyWatch(t)
	for _, s := range []*storm{storms[0], storms[1], storms[len(storms)-1]} {
		t.Run(s.what, func(t *testing.T) {
			s.write(t)
			w.calm(t)
			raging := make(chan struct{})
			go func() {
				defer close(raging)
				took, passes := w.rage(t, s)
				t.Logf("%d passes in %v", passes, took.Round(time.Millisecond))
				if allowed := s.least + 3 + int(took/mostOfOthers); passes > allowed && s.pause != "0" {
					t.Errorf("%d passes in %v, want %d", passes, took, allowed)
				}
			}()
			over := func(chunk string) bool {
				_, err := os.Stat(filepath.Join(s.dir, chunk))
				return err != nil
			}
			for !over("05") {
				time.Sleep(10 * time.Millisecond)
			}
			w.Exec(t, "ip", "route", "del", "default", "dev", "mape0")
			if over("18") {
				t.Error("the storm was over before there was any harm")
			}
			mended := w.await(t, "the route is back", second, func() bool {
				out, err := w.Try("ip", "route", "show", "default")
				return err == nil && strings.Contains(out, "mape0")
			})
			t.Logf("mended in %v", mended.Round(time.Millisecond))
			<-raging
		})
	}
}

// TestWatchLosesEvents: what the kernel had no room for wakes as well.
func TestWatchLosesEvents(t *testing.T) {
	w := newWatch(t, gatewaytest.LineSection)
	w.says(t, 10*second, "CE "+gatewaytest.CeOfLine)
	before := w.rest(t)
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
	if w.rest(t) == before {
		t.Error("that has not woken it")
	}
	w.forget()
	w.Exec(t, "sh", "-c", "nft delete table ip mape; ip route del default dev mape0")
	w.says(t, second, "mended table ip mape")
	w.says(t, second, "mended route default dev mape0")
}

// TestWatchBacksOff mends what a fighter undoes less and less often, names it,
// and goes on with everything else.
func TestWatchBacksOff(t *testing.T) {
	w := newWatch(t, gatewaytest.LineSection)
	w.says(t, 10*second, "CE "+gatewaytest.CeOfLine)
	w.rest(t)
	w.forget()
	stop := filepath.Join(t.TempDir(), "stop")
	fought := make(chan struct{})
	go func() {
		defer close(fought)
		w.Exec(t, "sh", "-c", "until [ -e $0 ]; do ip route del default dev mape0 2>/dev/null; sleep 0.02; done", stop)
	}()
	t.Log(w.says(t, 10*second, "<4>route default dev mape0 does not stay as it was mended: 8 times in a row"))
	w.await(t, "the status says it", second, func() bool {
		return strings.Contains(w.states[len(w.states)-1], "cannot keep route default dev mape0")
	})
	passes, begin := w.pass, time.Now()
	w.Exec(t, "sh", "-c", "nft delete table ip mape; echo 0 >/proc/sys/net/ipv4/ip_forward")
	w.says(t, second, "mended table ip mape")
	w.says(t, second, "mended sysctl net/ipv4/ip_forward")
	time.Sleep(3 * time.Second)
	w.mu.Lock()
	if n := w.pass - passes; n > 30 {
		t.Errorf("%d passes in %v of a fight", n, time.Since(begin))
	}
	w.mu.Unlock()
	if err := os.WriteFile(stop, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	<-fought
	// Whoever asks is not kept waiting.
	w.forget()
	w.hangup <- syscall.SIGHUP
	w.says(t, second, "<4>route default dev mape0 does not stay as it was mended")
	w.await(t, "the route is back", second, func() bool {
		out, err := w.Try("ip", "route", "show", "default")
		return err == nil && strings.Contains(out, "mape0")
	})
	w.says(t, 25*second, "route default dev mape0 holds again")
}
