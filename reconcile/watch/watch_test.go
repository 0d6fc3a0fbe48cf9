package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/events"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/resource"
	"mape-netplan/schema"
)

// A watchNS is a watch that runs on a machine of its own, where a bridge stands
// in for the tunnel.
type watchNS struct {
	*gatewaytest.Machine
	*Watch
	hangup chan os.Signal
	stop   func()

	mu     sync.Mutex
	log    []string
	states []string
	pass   int
}

// newWatch starts a watch and waits until it is ready. Its section is a file.
func newWatch(t testing.TB, section string) *watchNS {
	t.Helper()
	g := gatewaytest.NewMachine(t)
	g.Exec(t, "ip", "link", "add", "mape0", "type", "bridge")
	g.Exec(t, "ip", "link", "set", "mape0", "up")
	return startWatch(t, g, section)
}

func startWatch(t testing.TB, g *gatewaytest.Machine, section string) *watchNS {
	t.Helper()
	return startWatchBy(t, g, section, g.Do)
}

// startWatchBy is startWatch, with what runs the watch in its namespace.
func startWatchBy(t testing.TB, g *gatewaytest.Machine, section string, do func(func())) *watchNS {
	t.Helper()
	w := &watchNS{Machine: g, hangup: make(chan os.Signal, 1)}
	file := filepath.Join(g.Dir, "etc/mape-netplan.yaml")
	w.Watch = &Watch{
		Host: g.H, Files: []string{file}, Reload: w.hangup, asker: line.Asker{Client: g.Client},
		Section: func() (*schema.Config, error) {
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			c, err := schema.Parse("section", data)
			if err != nil {
				return nil, err
			}
			return c, line.Check(c)
		},
		Log: func(p Priority, text string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.log = append(w.log, fmt.Sprintf("<%d>%s", p, text))
		},
		Notify: func(state string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.states = append(w.states, state)
			w.pass = w.passes
		},
		Compile: withoutTunnel,
	}
	w.section(t, section)
	ctx, cancel := context.WithCancel(t.Context())
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
	w.await(t, "the first pass", 5*time.Second, func() bool { return w.pass > 0 })
	return w
}

// withoutTunnel is what a kernel without ip6_tunnel can be made.
func withoutTunnel(o gateway.Order, g *gateway.Gateway, f facts.Facts) []engine.Resource {
	return slices.DeleteFunc(o.Compile(g, f), func(r engine.Resource) bool { _, ok := r.(resource.Tunnel); return ok })
}

// section writes the section, as an editor does.
func (w *watchNS) section(t testing.TB, text string) {
	t.Helper()
	file := w.Files[0]
	if err := os.WriteFile(file+"~", []byte("mape: "+text+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+"~", file); err != nil {
		t.Fatal(err)
	}
}

// await waits until something is so, under the lock of what the watch said, and
// returns how long that took.
func (w *watchNS) await(t testing.TB, what string, most time.Duration, so func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for {
		w.mu.Lock()
		is := so()
		w.mu.Unlock()
		if is {
			return time.Since(begin)
		}
		if time.Since(begin) > most {
			t.Fatalf("not in %v: %s", most, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// says waits until the log has a line with all the words.
func (w *watchNS) says(t testing.TB, most time.Duration, words ...string) string {
	t.Helper()
	line := ""
	w.await(t, fmt.Sprintf("the log has %q", words), most, func() bool {
		for _, line = range w.log {
			if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
				return true
			}
		}
		return false
	})
	return line
}

// rest waits until the watch has not looked for a while, and returns how often
// it has.
func (w *watchNS) rest(t testing.TB) int {
	t.Helper()
	for last := -1; ; {
		w.mu.Lock()
		now := w.pass
		w.mu.Unlock()
		if now == last {
			return now
		}
		last = now
		time.Sleep(300 * time.Millisecond)
	}
}

// second is how soon what somebody has changed is to be mended.
const second = time.Second

// TestWatchMends lets every drift happen: exactly what was changed is mended
// within a second, and the machine is what it was.
func TestWatchMends(t *testing.T) {
	w := newWatch(t, gatewaytest.LineSection)
	w.says(t, 10*second, "CE "+gatewaytest.CeOfLine)
	w.rest(t)
	before := w.Snapshot(t)
	for _, d := range slices.Concat(gatewaytest.FileDrifts, gatewaytest.LiveDrifts, gatewaytest.TableDrifts) {
		t.Run(d.What, func(t *testing.T) {
			w.forget()
			w.Exec(t, "env", "root="+w.Dir, "sh", "-ec", d.Do)
			var names []string
			took := w.await(t, d.Names+" is mended", second, func() bool {
				names = nil
				for _, line := range w.log {
					name, _, _ := strings.Cut(strings.TrimPrefix(line, "<5>mended "), ", which ")
					// What takes two commands may be mended between them.
					if !slices.Contains(names, name) {
						names = append(names, name)
					}
				}
				return strings.Join(names, "; ") == d.Names
			})
			t.Log(took.Round(time.Millisecond))
			w.rest(t)
			gatewaytest.Unchanged(t, before, w.Snapshot(t))
		})
	}
}

// forget begins the log anew.
func (w *watchNS) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = nil
}

// TestWatchKnowsWho names the program that has deleted the table.
func TestWatchKnowsWho(t *testing.T) {
	w := newWatch(t, gatewaytest.LineSection)
	w.says(t, 10*second, "CE "+gatewaytest.CeOfLine)
	w.Exec(t, "nft", "flush", "ruleset")
	t.Log(w.says(t, second, "<5>mended table ip mape, which was gone (by nft, pid "))
}

// TestWatchStops leaves everything as it is.
func TestWatchStops(t *testing.T) {
	w := newWatch(t, gatewaytest.LineSection)
	w.says(t, 10*second, "CE "+gatewaytest.CeOfLine)
	before := w.Snapshot(t)
	goroutines := runtime.NumGoroutine()
	w.stop()
	gatewaytest.Unchanged(t, before, w.Snapshot(t))
	if last := w.states[len(w.states)-1]; !strings.HasPrefix(last, "STOPPING=1\n") {
		t.Errorf("the last state is %q", last)
	}
	if now := runtime.NumGoroutine(); now >= goroutines {
		t.Errorf("%d goroutines ran, and %d still do", goroutines, now)
	}
}

// TestWatchEndsWhenDeaf: a socket that cannot be read any more ends the watch
// with the reason, so that the service manager starts it anew.
func TestWatchEndsWhenDeaf(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	ready := make(chan *events.Listener, 1)
	w := &Watch{Host: g.H, Log: func(Priority, string) {}, Section: func() (*schema.Config, error) { return nil, errors.New("no section") }}
	w.Notify = func(state string) {
		if strings.HasPrefix(state, "READY=1") {
			ready <- w.events
		}
	}
	done := make(chan error, 1)
	go g.Do(func() { done <- w.Run(t.Context()) })
	e := <-ready
	// Of the errors that no reader knows one can be had at will.
	if err := e.Sockets[0].SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(err.Error(), "watching for changes: ") {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it goes on")
	}
}
