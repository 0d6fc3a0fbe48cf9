package watch

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/events"
	"mape-netplan/reconcile/host"
)

// A reason is why a wait has ended.
type reason int

const (
	look   reason = iota // something may have changed, or it is time to look again
	reload               // the section is to be read again
	stop                 // the service is to end
)

// A waiter waits for the next pass.
type waiter struct {
	*timings
	host     *host.Host
	events   *events.Reports
	reload   <-chan os.Signal
	watchdog time.Duration // within which the service manager wants an answer; 0 is never
	notify   func(string)
	noops    int // bursts of events in a row after which a pass changed nothing
}

// wait returns when a pass is due: after an event, after again (0 is never), or on a reload. changed is whether the last
// pass changed something, maintained is what may drift. Meanwhile it answers the watchdog. An error is that events are
// missed from now on.
func (w *waiter) wait(ctx context.Context, again time.Duration, changed bool, maintained []engine.Resource) (reason, error) {
	begin := time.Now()
	var over, quiet, limit <-chan time.Time
	if again > 0 {
		over = time.After(again)
	}
	watchdog, stopWatchdog := ticker(w.watchdog/3, w.watchdog > 0)
	defer stopWatchdog()
	polled := slices.DeleteFunc(slices.Clone(maintained), func(r engine.Resource) bool { return !r.Traits().Polled }) // The kernel sends no events about them.
	poll, stopPoll := ticker(w.poll, len(polled) > 0)
	defer stopPoll()
	for {
		select {
		case <-ctx.Done():
			return stop, nil
		case err := <-w.events.Failed:
			return stop, fmt.Errorf("watching for changes: %w", err)
		case <-w.reload:
			return reload, nil
		case <-over:
			return look, nil
		case <-watchdog:
			w.notify("WATCHDOG=1")
		case <-poll:
			if w.drifted(ctx, polled) {
				return look, nil
			}
		case <-w.events.Changed:
			w.coalesce(ctx, begin, changed)
			return look, nil
		case <-w.events.Unrelated:
			quiet = time.After(w.unrelated)
			if limit == nil {
				limit = time.After(w.unrelatedMost)
			}
		case <-quiet:
			return look, nil
		case <-limit:
			return look, nil
		case <-w.events.Table:
			_ = host.Wait(ctx, w.table-time.Since(begin))
			return look, nil
		}
	}
}

// ticker is time.NewTicker, but only ticks where it is needed.
func ticker(period time.Duration, needed bool) (<-chan time.Time, func()) {
	if !needed {
		return nil, func() {}
	}
	t := time.NewTicker(period)
	return t.C, t.Stop
}

// coalesce waits until a burst of events has ended. begin is when the last pass did.
func (w *waiter) coalesce(ctx context.Context, begin time.Time, changed bool) {
	if changed || time.Since(begin) > w.settleMost {
		w.noops = 0
	}
	w.noops++
	limit, settle := time.After(w.settleMost), doubled(w.settle, w.settleMost/2, w.noops)
	for {
		select {
		case <-ctx.Done():
			return
		case <-limit:
			return
		case <-w.events.Table:
			_ = host.Wait(ctx, w.table-time.Since(begin))
			return
		case <-w.events.Changed:
		case <-time.After(settle):
			return
		}
	}
}

func (w *waiter) drifted(ctx context.Context, all []engine.Resource) bool {
	for _, r := range all {
		if live, err := r.Read(ctx, w.host); err != nil || live.Text() != r.Text() {
			return true
		}
	}
	return false
}
