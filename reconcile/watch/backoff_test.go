package watch

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/sysctld"
)

// TestFailing: a pause doubles with the time that something fails, not with how often it is tried, and the table's stays
// short.
func TestFailing(t *testing.T) {
	begin, p := time.Now(), &defaultTimings
	for _, r := range []struct {
		engine.Resource
		after, want time.Duration
	}{
		{resource.Table{}, 0, p.repair},
		{resource.Table{}, 150 * ms, 150 * ms},
		{gateway.AnyGuard{}, time.Hour, p.tableMost},
		{resource.Sysctl{}, 0, p.repair},
		{resource.Sysctl{}, time.Minute, time.Minute},
		{resource.Sysctl{}, time.Hour, p.repairMost},
	} {
		since := time.Time{}
		for range 20 {
			p.failing(&since, begin, p.most(r))
		}
		if got := p.failing(&since, begin.Add(r.after), p.most(r)); got != r.want {
			t.Errorf("%s after %v: %v, want %v", r.Name(), r.after, got, r.want)
		}
	}
}

// TestBackoff: repairs that do not last come less and less often, those of the table every second.
func TestBackoff(t *testing.T) {
	pauses := func(r engine.Resource) (all []time.Duration) {
		b := &backoff{}
		for range 22 {
			all = append(all, b.repaired(&defaultTimings, r))
		}
		return all[6:]
	}
	s := time.Second
	if got, want := pauses(resource.Address{}), []time.Duration{100 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 6400 * ms,
		12800 * ms, 25600 * ms, 51200 * ms, 102400 * ms, 204800 * ms, 300 * s, 300 * s, 300 * s}; !slices.Equal(got, want) {
		t.Errorf("an address is repaired after %v, want %v", got, want)
	}
	if got, want := pauses(resource.Table{}), []time.Duration{100 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, s, s, s, s, s, s, s, s, s, s, s}; !slices.Equal(got, want) {
		t.Errorf("the table is repaired after %v, want %v", got, want)
	}
}

// TestBackoffFailed counts failures apart from what was undone, and retries them every few seconds.
func TestBackoffFailed(t *testing.T) {
	begin, a, p := time.Now(), resource.Address{Link: "eth1"}, &defaultTimings
	b := &backoff{}
	for after := range 200 {
		pause := b.failed(p, a, 0, begin.Add(time.Duration(after)*time.Second))
		if want := min(max(time.Duration(after)*time.Second, p.repair), p.failedMost); pause != want {
			t.Errorf("after %d s it pauses for %v, want %v", after, pause, want)
		}
	}
	if got := b.failed(p, a, 7, begin.Add(time.Hour)); got != p.repair {
		t.Errorf("since its link is there it pauses for %v, want %v", got, p.repair)
	}
	if got := (&backoff{unfixed: begin}).failed(p, resource.Table{}, 0, begin.Add(time.Hour)); got != p.tableMost {
		t.Errorf("without the guard it pauses for %v, want %v", got, p.tableMost)
	}
	b.next = begin.Add(time.Hour)
	if here, away := b.wait(7), b.wait(0); here <= 0 || away != 0 {
		t.Errorf("it waits %v, and %v where its link has gone", here, away)
	}
	if got := b.repaired(p, a); got != p.repair || b.count != 1 {
		t.Errorf("repaired %d times it pauses for %v, want %v", b.count, got, p.repair)
	}
	if wait := b.wait(0); wait <= 0 {
		t.Error("what is undone with the link is repaired without a pause")
	}
}

// TestDriftWaitsForTheTunnel looks at what goes with a tunnel no more often than at the tunnel.
func TestDriftWaitsForTheTunnel(t *testing.T) {
	t.Parallel()
	g := gatewaytest.NewMachine(t)
	all := []engine.Resource{
		resource.Tunnel{Tunnel: kernel.Tunnel{Link: "mape0", Local: netip.MustParseAddr(gatewaytest.CeOfLine)}},
		resource.Managed{Link: "mape0", Present: true},
		resource.Sysctl{Key: sysctld.RPFilterKey("mape0"), Value: "2"},
		resource.DefaultRoute("mape0"),
	}
	w := Watch{Host: g.H, timings: defaultTimings, backoffs: backoffs{all[0].Name(): {next: time.Now().Add(never)}}}
	g.Do(func() {
		if now, again := w.drift(t.Context(), facts.Facts{}, all); len(now) > 0 || again < never/2 {
			t.Errorf("to be restored are %v, and the rest in %v", now, again)
		}
	})
}
