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

// An inquiry is asking the line for its rules beside the passes: a line that is
// down makes it last half a minute, in which the machine is mended and the
// watchdog answered.
type inquiry struct {
	running sync.WaitGroup
	answer  chan error // of the one that runs, or has ended unheard; nil is none
	retry   retry      // of one that failed on this machine
}

// mostAsleep bounds a wait for a time of the wall clock, which may be set
// meanwhile.
const mostAsleep = time.Hour

// hear takes notice of an inquiry that has ended. The look comes after it: it
// has to see what the line said.
func (w *Watch) hear() {
	select {
	case err := <-w.inquiry.answer:
		w.inquiry.answer = nil
		if err == nil {
			w.inquiry.retry = retry{}
			w.fine("asking the line")
			return
		}
		w.inquiry.retry.failed(time.Now())
		w.complain("asking the line", Failure, fmt.Sprintf("cannot ask the line for its rules (HB46PP): %v", err))
	default:
	}
}

// inquire has the line asked where that is due, and returns how long it is not.
// The end of an inquiry wakes the loop.
func (w *Watch) inquire(ctx context.Context, l line.Line, f facts.Facts) (again time.Duration) {
	if w.inquiry.answer != nil {
		return 0
	}
	w.doubt(f.Discovered)
	now := time.Now()
	next := line.NextDiscovery(w.section, l, f, now)
	if next.IsZero() {
		return 0
	}
	if wait := max(next.Sub(now), w.inquiry.retry.at.Sub(now)); wait > 0 {
		return min(wait, mostAsleep)
	}
	section, answer := w.section, make(chan error, 1)
	w.inquiry.answer = answer
	w.inquiry.running.Go(func() {
		_, err := w.asker.Discover(ctx, section, l, f)
		answer <- err
		w.events.Awake()
	})
	return 0
}

// doubt says that the line does not tell its rules any more. What it told last
// holds: an outage of its server is none of the tunnel's.
func (w *Watch) doubt(d *discovery.Discovery) {
	if !d.Offers() || d.Withdrawn || d.Problem == "" {
		w.fine("rules")
		return
	}
	w.complain("rules", Warning, fmt.Sprintf("the line was asked for its rules (HB46PP): %s; those that it gave before hold", d.Problem))
}
