package watch

import (
	"context"
	"maps"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/events"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/resource"
	"mape-netplan/schema"
)

// A sleeper is a waiter, by a clock that stands still while anything runs.
type sleeper struct {
	waiter
	begin   time.Time
	want    []engine.Resource
	states  int // told to the service manager
	changes bool
}

func newSleeper() *sleeper {
	s := &sleeper{begin: time.Now()}
	s.waiter = waiter{
		timings: &defaultTimings, host: &host.Host{},
		notify: func(string) { s.states++ },
		events: events.NewReports(),
	}
	return s
}

// passes lists when a pass begins, of those until most have or ctx ends.
func (s *sleeper) passes(ctx context.Context, most int) (all []time.Duration) {
	for changed := false; len(all) < most; changed = s.changes {
		why, err := s.wait(ctx, 0, changed, s.want)
		if err != nil || why == stop {
			return all
		}
		all = append(all, time.Since(s.begin))
		s.events.DropUnrelated()
	}
	return all
}

// every sends n reports, the first at once.
func every(period time.Duration, n int, to chan struct{}) {
	for range n {
		select {
		case to <- struct{}{}:
		default:
		}
		time.Sleep(period)
	}
}

const ms = time.Millisecond

// TestWait: when passes begin, for each course of events.
func TestWait(t *testing.T) {
	for _, test := range []struct {
		what    string
		events  func(*sleeper)
		want    []time.Duration
		changes bool // each pass has something to do
	}{
		{"one event", func(s *sleeper) { s.events.Wake() }, []time.Duration{50 * ms}, false},
		{"a burst is one pass", func(s *sleeper) { every(10*ms, 20, s.events.Changed) }, []time.Duration{240 * ms}, false},
		{"a storm is a pass each 600 ms", func(s *sleeper) { every(10*ms, 200, s.events.Changed) },
			[]time.Duration{600 * ms, 1200 * ms, 1800 * ms, 2040 * ms}, true},
		{"a storm in which nothing changes is likewise", func(s *sleeper) { every(10*ms, 200, s.events.Changed) },
			[]time.Duration{600 * ms, 1200 * ms, 1800 * ms, 2290 * ms}, false},
		{"passes for nothing come ever later", func(s *sleeper) { every(70*ms, 15, s.events.Changed) },
			[]time.Duration{50 * ms, 670 * ms, 1180 * ms}, false},
		{"passes that change something do not", func(s *sleeper) { every(70*ms, 5, s.events.Changed) },
			[]time.Duration{50 * ms, 120 * ms, 190 * ms, 260 * ms, 330 * ms}, true},
		{"unrelated events wait until they end", func(s *sleeper) { every(100*ms, 20, s.events.Unrelated) }, []time.Duration{2900 * ms}, false},
		{"unrelated events without an end", func(s *sleeper) { every(130*ms, 200, s.events.Unrelated) },
			[]time.Duration{10 * time.Second, 20010 * ms, 26870 * ms}, false},
		{"unrelated events delay no other", func(s *sleeper) {
			go every(100*ms, 50, s.events.Unrelated)
			time.Sleep(3020 * ms)
			s.events.Wake()
		}, []time.Duration{3070 * ms, 5900 * ms}, false},
		{"the table is not waited with", func(s *sleeper) {
			time.Sleep(time.Second)
			s.events.Table <- struct{}{}
		}, []time.Duration{time.Second}, false},
		{"the table has a pass each 100 ms", func(s *sleeper) { every(10*ms, 30, s.events.Table) }, []time.Duration{100 * ms, 200 * ms, 300 * ms, 400 * ms}, true},
		{"the table ends a burst", func(s *sleeper) {
			go every(10*ms, 20, s.events.Changed)
			time.Sleep(155 * ms)
			s.events.Table <- struct{}{}
		}, []time.Duration{155 * ms, 290 * ms}, false},
	} {
		t.Run(test.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSleeper()
				s.changes = test.changes
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				go test.events(s)
				if got := s.passes(ctx, 100); !slices.Equal(got, test.want) {
					t.Errorf("passes begin at %v, want %v", got, test.want)
				}
			})
		})
	}
}

// A gauge is a resource that is polled, and counts how often.
type gauge struct {
	engine.Resource
	reads *int
	state string
}

func (g gauge) Traits() engine.Traits { return engine.Traits{Polled: true} }
func (g gauge) Text() string          { return g.state }
func (g gauge) Read(context.Context, *host.Host) (engine.Resource, error) {
	if *g.reads++; *g.reads > 7200 {
		g.state = "0"
	}
	return g, nil
}

// TestWaitIdle: where nothing happens, nothing is done but to answer the watchdog and to read what is polled; the pass
// comes when that has drifted.
func TestWaitIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, reads := newSleeper(), 0
		s.watchdog = time.Minute
		if got := s.passes(t.Context(), 0); got != nil {
			t.Fatal(got)
		}
		s.want = []engine.Resource{gauge{reads: &reads, state: "1"}, resource.Table{}}
		if got := s.passes(t.Context(), 1); !slices.Equal(got, []time.Duration{time.Hour + 500*ms}) {
			t.Errorf("a pass begins at %v", got)
		}
		if s.states != 180 {
			t.Errorf("the watchdog was answered %d times in an hour, want 180", s.states)
		}
	})
}

// TestWaitAgain: a wait is over when it was asked to be, and at once on a reload.
func TestWaitAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSleeper()
		if why, err := s.wait(t.Context(), time.Minute, false, nil); why != look || err != nil || time.Since(s.begin) != time.Minute {
			t.Errorf("%v, %v after %v", why, err, time.Since(s.begin))
		}
		begin, hangup := time.Now(), make(chan os.Signal, 1)
		s.waiter.reload = hangup
		hangup <- syscall.SIGHUP
		if why, err := s.wait(t.Context(), time.Minute, false, nil); why != reload || err != nil || time.Since(begin) != 0 {
			t.Errorf("%v, %v after %v", why, err, time.Since(begin))
		}
		s.events.Failed <- context.Canceled
		if _, err := s.wait(t.Context(), 0, false, nil); err == nil {
			t.Error("no error")
		}
	})
}

// TestUnrelated: what may become the WAN, the LAN or the tunnel is not unrelated.
func TestUnrelated(t *testing.T) {
	metric := 100
	f := facts.Facts{
		Links: []kernel.Link{
			{Name: "lo", Index: 1, Loopback: true},
			{Name: "eth0", Index: 2},                        // netplan's
			{Name: "eth1", Index: 3, NetworkFile: "a file"}, // networkd's
			{Name: "eth2", Index: 4, Default6: &metric},
			{Name: "eth3", Index: 5, Default4: &metric},
			{Name: "eth4", Index: 6}, // the section's
			{Name: "eth5", Index: 7}, // likewise
			{Name: "mape0", Index: 8},
			{Name: "eth6", Index: 9}, // has the CE address
			{Name: "docker0", Index: 10},
		},
		Definitions: []netplan.Definition{{Section: "ethernets", ID: "eth0", Interfaces: []string{"eth0"}}},
	}
	w := Watch{
		sections: sections{valid: &schema.Config{WAN: "eth4", LAN: []string{"eth5"}, Tunnel: "mape0"}},
		want:     []engine.Resource{resource.Address{Link: "eth6"}},
	}
	if got := slices.Sorted(maps.Keys(w.unrelated(f))); !slices.Equal(got, []uint32{1, 10}) {
		t.Errorf("got %v, want those of lo and docker0", got)
	}
}
