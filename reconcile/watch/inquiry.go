package watch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/line"
)

// An inquiry asks the line for its rules, beside the passes: on a line that is down it takes half a minute, in which the
// machine is repaired and the watchdog answered.
type inquiry struct {
	running sync.WaitGroup
	result  chan error // of the one that runs, or has ended since the last pass; nil when there is none
	retry   retry      // of one that failed on this machine
}

// mostAsleep bounds a wait for a time of the wall clock: the clock may be set meanwhile.
const mostAsleep = time.Hour

// finishInquiry takes the result of an inquiry that has ended. The look comes after it, and reads what the line said.
func (w *Watch) finishInquiry() {
	select {
	case err := <-w.inquiry.result:
		w.inquiry.result = nil
		if err == nil {
			w.inquiry.retry = retry{}
			w.resolved("inquiry")
			return
		}
		w.inquiry.retry.failed(&w.pace, time.Now())
		w.logOnce("inquiry", Failure, fmt.Sprintf("cannot ask the line for its rules (HB46PP): %v", err))
	default:
	}
}

// inquire starts an inquiry where it is due, and returns how long it is not; 0 is for ever. Its end wakes the loop.
func (w *Watch) inquire(ctx context.Context, l line.Line, f facts.Facts) (again time.Duration) {
	if w.inquiry.result != nil {
		return 0
	}
	w.logOutage(f.Discovered)
	now := time.Now()
	next := line.NextDiscovery(w.section, l, f, now)
	if next.IsZero() {
		return 0
	}
	if wait := max(next.Sub(now), w.inquiry.retry.at.Sub(now)); wait > 0 {
		return min(wait, mostAsleep)
	}
	section, result := w.section, make(chan error, 1)
	w.inquiry.result = result
	w.inquiry.running.Go(func() {
		_, err := w.asker.Discover(ctx, section, l, f)
		result <- err
		w.events.Wake()
	})
	return 0
}

// logOutage logs that the line's server does not answer any more. The rules that it gave last stay in force: the tunnel
// does not need the server.
func (w *Watch) logOutage(d *discovery.Discovery) {
	if !d.Offers() || d.Withdrawn || d.Problem == "" {
		w.resolved("rules")
		return
	}
	w.logOnce("rules", Warning, fmt.Sprintf("asking the line for its rules (HB46PP) failed: %s; the rules that it gave before stay in force", d.Problem))
}
