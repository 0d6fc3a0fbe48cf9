package watch

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/events"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/schema"
)

// TestWatchRestores lets every drift happen: exactly what was changed is restored, and the machine is what it was.
func TestWatchRestores(t *testing.T) {
	for what, drifts := range map[string][]gatewaytest.Drift{"files": gatewaytest.FileDrifts, "live": gatewaytest.LiveDrifts, "table": gatewaytest.TableDrifts} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newService(t, gatewaytest.LineSection)
			w.says(t, "CE "+gatewaytest.CeOfLine)
			w.looks(t)
			before := w.Snapshot(t)
			for _, d := range drifts {
				t.Run(d.What, func(t *testing.T) {
					w.forget()
					// Of two commands the second may need that nothing was restored after the first.
					unlock, err := (&host.Host{Root: w.H.Root, Net: w.H.Net}).Lock(t.Context(), "another")
					if err != nil {
						t.Fatal(err)
					}
					_, err = w.Try("env", "root="+w.Dir, "sh", "-ec", d.Do)
					unlock()
					if err != nil {
						t.Fatal(err)
					}
					w.await(t, d.Names+" is restored, and nothing else", func() bool { return restored(w.log) == d.Names })
					w.returnsTo(t, before)
				})
			}
		})
	}
}

// restored lists what the log says was restored, sorted. A message of anything else, but for those of a wait for another
// run, is listed as it is.
func restored(log []string) string {
	var names []string
	for _, message := range log {
		name := message
		if text, ok := strings.CutPrefix(message, "<5>restored "); ok {
			name, _, _ = strings.Cut(text, ": it ")
		}
		if !strings.Contains(message, "other run ") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, "; ")
}

// TestWatchNamesTheProcess that has deleted the table.
func TestWatchNamesTheProcess(t *testing.T) {
	t.Parallel()
	w := newService(t, gatewaytest.LineSection)
	w.says(t, "CE "+gatewaytest.CeOfLine)
	w.names(t, "nft", "<5>restored table ip mape: it was gone", func() { w.Exec(t, "nft", "flush", "ruleset") })
}

// names changes something until the message about it names the process: a pass that is under way sees the change before
// the kernel's message about it, and names none.
func (w *service) names(t *testing.T, process, message string, change func()) {
	t.Helper()
	text := ""
	for range 5 {
		w.looks(t)
		w.forget()
		change()
		if text = w.says(t, message); strings.HasPrefix(text, message+" (by "+process+", pid ") {
			return
		}
	}
	t.Errorf("the last message is %q", text)
}

// TestWatchStops leaves everything as it is. Run returns when nothing of it runs any more.
func TestWatchStops(t *testing.T) {
	t.Parallel()
	w := newService(t, gatewaytest.LineSection)
	w.says(t, "CE "+gatewaytest.CeOfLine)
	w.looks(t)
	before := w.Snapshot(t)
	w.stop()
	gatewaytest.Unchanged(t, before, w.Snapshot(t))
	if last := w.status(); !strings.HasPrefix(last, "STOPPING=1\n") {
		t.Errorf("the last state is %q", last)
	}
}

// TestWatchEndsWhenItCannotListen: a socket that cannot be read any more ends the watch with the reason, so that the
// service manager starts it again.
func TestWatchEndsWhenItCannotListen(t *testing.T) {
	t.Parallel()
	g := gatewaytest.NewMachine(t)
	ready := make(chan *events.Listener, 1)
	w := &Watch{Host: g.H, Log: func(Priority, string) {}, Section: func() (*schema.Config, []byte, error) { return nil, nil, errors.New("no section") }}
	w.Notify = func(state string) {
		if strings.HasPrefix(state, "READY=1") {
			ready <- w.events
		}
	}
	done := make(chan error, 1)
	go g.Do(func() { done <- w.Run(t.Context()) })
	e := <-ready
	// The one error that can be had at will.
	if err := e.Sockets[0].SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(err.Error(), "watching for changes: ") {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(patience):
		t.Error("it goes on")
	}
}

// TestWatchWaitsForOthers restores when another run has ended.
func TestWatchWaitsForOthers(t *testing.T) {
	t.Parallel()
	w := newService(t, gatewaytest.LineSection)
	w.says(t, "CE "+gatewaytest.CeOfLine)
	w.looks(t)
	w.forget()
	other := &host.Host{Root: w.H.Root, Net: w.H.Net}
	unlock, err := other.Lock(t.Context(), "another")
	if err != nil {
		t.Fatal(err)
	}
	w.Exec(t, "nft", "delete", "table", "ip", "mape")
	w.Exec(t, "sh", "-ec", "ip route del default dev mape0; ip route add default via 192.168.1.9 dev mape0 onlink proto static")
	w.says(t, "waiting: another run is in progress: another, pid ")
	w.looks(t)
	if out := w.Exec(t, "nft", "list", "tables"); out != "" {
		t.Errorf("it has not waited: %s", out)
	}
	if n := w.said("<4>"); n != 0 {
		t.Errorf("%d warnings of what another run may be changing", n)
	}
	unlock()
	w.says(t, "restored table ip mape")
}
