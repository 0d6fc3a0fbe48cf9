package watch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
)

// repair restores what has drifted from what was applied, each resource for itself. It returns when to look again; 0 is
// with the next event.
func (w *Watch) repair(ctx context.Context, f facts.Facts) (again time.Duration) {
	drifted, again := w.drift(ctx, f, w.maintained())
	if len(drifted) == 0 || ctx.Err() != nil { // A service that is stopped leaves everything as it is.
		return again
	}
	unlock, ok := w.lock(ctx)
	if !ok {
		return w.timings.lock
	}
	defer unlock()
	// The run that had the lock before may have restored it.
	var suspects []engine.Resource
	for _, c := range drifted {
		suspects = append(suspects, c.After)
	}
	drifted, soon := w.drift(ctx, f, suspects)
	again = soonest(again, soon)
	for _, c := range drifted {
		again = soonest(again, w.restore(ctx, f, c))
	}
	return again
}

// drift lists which of some resources are to be restored now, and when the rest of those that have drifted is.
func (w *Watch) drift(ctx context.Context, f facts.Facts, all []engine.Resource) (now []engine.Change, again time.Duration) {
	missing := map[string]bool{} // interfaces whose repair waits
	for _, r := range all {
		name, b := r.Name(), w.backoffs[r.Name()]
		live, err := r.Read(ctx, w.Host)
		if err != nil {
			w.problem(name, Failure, fmt.Sprintf("%s: %v", name, err))
			again = soonest(again, w.timings.failing(&w.backoffs.of(name).unread, time.Now(), min(w.timings.most(r), w.timings.failedMost)))
			continue
		}
		w.forget(name)
		if b != nil {
			b.unread = time.Time{}
		}
		if live.Text() == r.Text() {
			again = soonest(again, w.inSync(name, b))
			continue
		}
		if b != nil {
			b.inSync = time.Time{}
		}
		if engine.Settles(r, live) {
			again = soonest(again, w.timings.settling)
			continue
		}
		if link := r.Traits().Link; link != "" && missing[link] {
			continue // It waits for its tunnel.
		}
		if wait := b.wait(linkIndex(f, r)); wait > 0 {
			again = soonest(again, max(wait, w.timings.repair))
			missing[r.Traits().Makes] = true
			continue
		}
		now = append(now, engine.Change{Before: live, After: r})
	}
	return now, again
}

// inSync notes that a resource is as it was applied, and returns when to look whether it still is.
func (w *Watch) inSync(name string, b *backoff) time.Duration {
	if b == nil {
		return 0
	}
	w.forget("restore " + name)
	b.unfixed = time.Time{}
	if b.count == 0 { // It has settled by itself.
		delete(w.backoffs, name)
		return 0
	}
	if b.inSync.IsZero() {
		b.inSync = time.Now()
	}
	if left := w.timings.stable - time.Since(b.inSync); left > 0 {
		return left
	}
	if b.reported {
		w.Log(Notice, name+" is stable again")
	}
	delete(w.backoffs, name)
	return 0
}

// linkIndex is the index of the interface that a resource is on; 0 where there is none.
func linkIndex(f facts.Facts, r engine.Resource) int {
	link, _ := f.Link(r.Traits().Link)
	return link.Index
}

// restore writes one resource back and returns when to look at it again.
func (w *Watch) restore(ctx context.Context, f facts.Facts, c engine.Change) (again time.Duration) {
	name := c.After.Name()
	b := w.backoffs.of(name)
	limited, cancel := limitPass(ctx)
	defer cancel()
	w.changed = true
	if err := c.After.Write(limited, w.Host); err != nil {
		w.problem("restore "+name, Failure, fmt.Sprintf("cannot restore %s: %v; retrying", name, err))
		again = b.failed(&w.timings, c.After, linkIndex(f, c.After), time.Now())
	} else {
		w.forget("restore " + name)
		again = b.repaired(&w.timings, c.After)
		w.logRepair(b, c)
	}
	b.next = time.Now().Add(again)
	return again
}

// logRepair logs that a resource was restored and who had changed it, or, once, that this does not last.
func (w *Watch) logRepair(b *backoff, c engine.Change) {
	name, found := c.After.Name(), foundAs(c.Before)
	if by := w.events.ChangedBy(c.After); by != "" {
		found += " (by " + by + ")"
	}
	switch {
	case b.count < tolerated:
		w.Log(Notice, fmt.Sprintf("restored %s: it %s", name, found))
	case !b.reported:
		b.reported = true
		w.Log(Warning, fmt.Sprintf("%s does not stay restored: %d times in a row it %s; retrying less and less often", name, b.count, found))
	}
}

// foundAs says how a resource differed: "was gone", or what it was where that is short.
func foundAs(before engine.Resource) string {
	text := strings.TrimSpace(before.Text())
	switch {
	case text == "":
		return "was gone"
	case len(text) < 100:
		return "was " + strings.ReplaceAll(text, "\n", ", ")
	}
	return "had been changed"
}
