package watch

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/resource"
	"mape-netplan/schema"
)

// TestMain runs more tests at once than there are processors: they wait most of their time.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", "8") // The command line comes after it.
	os.Exit(m.Run())
}

// patience is how long a condition is waited for that has to come: what is late on a busy machine is no failure.
const patience = 60 * time.Second

// never is a pause that no test waits for.
const never = time.Hour

// testTimings is defaultTimings in a hurry.
var testTimings = timings{
	settle: 10 * time.Millisecond, settleMost: 100 * time.Millisecond,
	unrelated: 50 * time.Millisecond, unrelatedMost: time.Second,
	table: 10 * time.Millisecond,

	poll:       50 * time.Millisecond,
	lock:       20 * time.Millisecond,
	unreadable: 200 * time.Millisecond,
	silent:     50 * time.Millisecond,
	settling:   100 * time.Millisecond,

	retry: 100 * time.Millisecond, retryMost: time.Second,
	repair: 20 * time.Millisecond, repairMost: time.Second, tableMost: 100 * time.Millisecond,
	failedMost: 200 * time.Millisecond,
	stable:     200 * time.Millisecond,
}

// A service is a watch that runs on a machine of its own, where a bridge stands in for the tunnel.
type service struct {
	*gatewaytest.Machine
	*Watch
	hangup chan os.Signal
	stop   func()

	mu     sync.Mutex
	log    []string
	states []string
	looked int // passes that have ended
}

// newService starts a watch and waits for its first pass. Its section is a file.
func newService(t testing.TB, section string, with ...func(*Watch)) *service {
	t.Helper()
	return startService(t, newMachine(t), section, with...)
}

// newMachine makes a machine with the bridge.
func newMachine(t testing.TB) *gatewaytest.Machine {
	t.Helper()
	g := gatewaytest.NewMachine(t)
	g.Exec(t, "sh", "-ec", "ip link add mape0 type bridge; ip link set mape0 up")
	return g
}

func startService(t testing.TB, g *gatewaytest.Machine, section string, with ...func(*Watch)) *service {
	t.Helper()
	return startServiceBy(t, g, section, g.Do, with...)
}

// startServiceBy is startService, with what runs the watch in its namespace.
func startServiceBy(t testing.TB, g *gatewaytest.Machine, section string, do func(func()), with ...func(*Watch)) *service {
	t.Helper()
	w := &service{Machine: g, hangup: make(chan os.Signal, 1)}
	file := filepath.Join(g.Dir, "etc/mape-netplan.yaml")
	w.Watch = &Watch{
		Host: g.H, Files: []string{file}, Reload: w.hangup, provisioning: provisioning{Asker: line.Asker{Client: g.Client}},
		Section: func() (*schema.Config, []byte, error) {
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, nil, err
			}
			c, err := schema.Parse("section", data)
			if err != nil {
				return nil, nil, err
			}
			return c, data, line.Check(c)
		},
		Log:     w.logged,
		Notify:  w.notified,
		Compile: withoutTunnel, timings: testTimings,
	}
	for _, change := range with {
		change(w.Watch)
	}
	w.section(t, section)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go do(func() { done <- w.Run(ctx) })
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		w.stop()
		if t.Failed() {
			t.Log(strings.Join(w.log, "\n"))
			t.Log(strings.Join(w.states, "\n"))
		}
	})
	w.await(t, "the first pass", func() bool { return w.looked > 0 })
	return w
}

func (w *service) logged(p Priority, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf("<%d>%s", p, text))
}

func (w *service) notified(state string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.states = append(w.states, state)
	if strings.Contains(state, "WATCHDOG=1\nSTATUS=") && !strings.Contains(state, "STATUS=applying") {
		w.looked++
	}
}

// withoutTunnel is Transition.Compile for a kernel without ip6_tunnel.
func withoutTunnel(o gateway.Transition, g *gateway.Gateway, f facts.Facts) []engine.Resource {
	return slices.DeleteFunc(o.Compile(g, f), func(r engine.Resource) bool { _, ok := r.(resource.Tunnel); return ok })
}

// section writes the section, or any other text, as an editor does.
func (w *service) section(t testing.TB, text string) {
	t.Helper()
	file := w.Files[0]
	if strings.HasPrefix(text, "{") {
		text = "mape: " + text + "\n"
	}
	if err := os.WriteFile(file+"~", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+"~", file); err != nil {
		t.Fatal(err)
	}
}

// await waits for a condition, which is asked with the log and the states locked.
func (w *service) await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		w.mu.Lock()
		ok := holds()
		w.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			w.mu.Lock()
			defer w.mu.Unlock()
			t.Fatalf("not after %v: %s; the log is\n%s", patience, what, strings.Join(w.log, "\n"))
		}
	}
}

// says waits until the log has a message with all the words, and returns it.
func (w *service) says(t testing.TB, words ...string) (message string) {
	t.Helper()
	w.await(t, fmt.Sprintf("the log has %q", words), func() bool {
		for _, message = range w.log {
			if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(message, word) }) {
				return true
			}
		}
		return false
	})
	return message
}

// said counts the messages that have the words.
func (w *service) said(words string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(strings.Join(w.log, "\n"), words)
}

// forget empties the log.
func (w *service) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = nil
}

// status is the last that the service manager was told.
func (w *service) status() string { return w.states[len(w.states)-1] }

// looks has the watch make a whole pass from now on: what it has to do, it has done then.
func (w *service) looks(t testing.TB) {
	t.Helper()
	for range 2 { // The first to end may have begun before.
		before := 0
		w.await(t, "", func() bool { before = w.looked; return true })
		w.events.Wake()
		w.await(t, "a pass", func() bool { return w.looked > before })
	}
}

// returnsTo waits until the machine is what it was.
func (w *service) returnsTo(t testing.TB, before string) {
	t.Helper()
	w.looks(t)
	now := ""
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if now = w.Snapshot(t); now == before {
			return
		}
	}
	t.Errorf("the machine is not as it was:\n%s", diff.Diff("before", []byte(before), "after", []byte(now)))
}
