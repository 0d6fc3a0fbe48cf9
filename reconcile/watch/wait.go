package watch

import (
	"context"
	"fmt"
	"time"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
)

// Events come in crowds: a pass waits until none has come for quiet, but not
// longer than most after the first. Where the last pass was in vain and a moment
// ago, quiet is twice as long each time, up to half of most. The table is the
// guard, and waits for nothing but breath.
//
// Those of bystanders are left alone as long as they go on, with no longer
// silence than quietOfOthers, up to mostOfOthers, and keep no other waiting.
const (
	quiet         = 50 * time.Millisecond
	most          = 600 * time.Millisecond
	quietOfOthers = time.Second
	mostOfOthers  = 10 * time.Second
	breath        = 100 * time.Millisecond // since the last pass
)

// pollTime is between two looks at what the kernel does not tell of.
const pollTime = 500 * time.Millisecond

// wait returns when there is something to look at: something has happened, the
// time is over, or the section is to be read again. alive is false when ctx has
// ended, or with an error when nothing is heard any more.
func (w *Watch) wait(ctx context.Context, again time.Duration) (reload, alive bool, err error) {
	last := time.Now()
	var over, poll, bark, lull, end <-chan time.Time
	if again > 0 {
		over = time.After(again)
	}
	if w.Watchdog > 0 {
		t := time.NewTicker(w.Watchdog / 3)
		defer t.Stop()
		bark = t.C
	}
	polled := w.polled()
	if len(polled) > 0 {
		t := time.NewTicker(pollTime)
		defer t.Stop()
		poll = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return false, false, nil
		case err := <-w.events.Deaf:
			return false, false, fmt.Errorf("watching for changes: %w", err)
		case <-w.Reload:
			return true, true, nil
		case <-over:
			return false, true, nil
		case <-bark:
			w.Notify("WATCHDOG=1")
		case <-poll:
			for _, s := range polled {
				if live, err := s.Read(ctx, w.Host); err != nil || live.Text() != s.Text() {
					return false, true, nil
				}
			}
		case <-w.events.Wake:
			w.calmDown(ctx, last)
			return false, true, nil
		case <-w.events.Murmur:
			lull = time.After(quietOfOthers)
			if end == nil {
				end = time.After(mostOfOthers)
			}
		case <-lull:
			return false, true, nil
		case <-end:
			return false, true, nil
		case <-w.events.Hurry:
			_ = host.Wait(ctx, breath-time.Since(last))
			return false, true, nil
		}
	}
}

// calmDown waits until a crowd of events is over, or there is reason to hurry.
func (w *Watch) calmDown(ctx context.Context, last time.Time) {
	if w.changed || time.Since(last) > most {
		w.vain = 0
	}
	w.vain++
	end, calm := time.After(most), doubled(quiet, most/2, w.vain)
	for {
		select {
		case <-ctx.Done():
			return
		case <-end:
			return
		case <-w.events.Hurry:
			_ = host.Wait(ctx, breath-time.Since(last))
			return
		case <-w.events.Wake:
		case <-time.After(calm):
			return
		}
	}
}

// polled lists the parameters that no event tells of.
func (w *Watch) polled() (all []engine.Resource) {
	for _, r := range w.want {
		if r.Traits().Polled {
			all = append(all, r)
		}
	}
	return all
}
