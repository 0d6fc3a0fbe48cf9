package watch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
)

// mend brings back what differs from what was made, each resource for itself.
func (w *Watch) mend(ctx context.Context, f facts.Facts) (again time.Duration) {
	differ, again := w.drift(ctx, f, w.kept())
	if len(differ) == 0 || ctx.Err() != nil { // A service that is stopped leaves everything as it is.
		return again
	}
	unlock, ok := w.lock(ctx)
	if !ok {
		return lockPause
	}
	defer unlock()
	// Whoever had the lock before may have mended it.
	var wrong []engine.Resource
	for _, c := range differ {
		wrong = append(wrong, c.After)
	}
	differ, soon := w.drift(ctx, f, wrong)
	again = soonest(again, soon)
	for _, c := range differ {
		again = soonest(again, w.restore(ctx, f, c))
	}
	return again
}

// drift lists which of some resources are to be mended now, and when the rest of
// what differs is.
func (w *Watch) drift(ctx context.Context, f facts.Facts, all []engine.Resource) (now []engine.Change, again time.Duration) {
	missing := map[string]bool{} // tunnels that are to wait
	for _, r := range all {
		name, m := r.Name(), w.mended[r.Name()]
		live, err := r.Read(ctx, w.Host)
		if err != nil {
			w.complain(name, Failure, fmt.Sprintf("%s: %v", name, err))
			again = soonest(again, failing(&w.mended.of(name).unread, time.Now(), mostPause(r)))
			continue
		}
		delete(w.said, name)
		if m != nil {
			m.unread = time.Time{}
		}
		if live.Text() == r.Text() {
			again = soonest(again, w.holds(name, m))
			continue
		}
		if m != nil {
			m.good = time.Time{}
		}
		if engine.Settles(r, live) {
			again = soonest(again, time.Second)
			continue
		}
		if link := linkOf(r); link != "" && missing[link] {
			continue // As long as its tunnel.
		}
		if wait := m.wait(indexOf(f, r)); wait > 0 {
			again = soonest(again, max(wait, mendFirst))
			missing[r.Traits().Makes] = true
			continue
		}
		now = append(now, engine.Change{Before: live, After: r})
	}
	return now, again
}

// holds notes that a resource is as it was made, and says when to look whether
// it still is.
func (w *Watch) holds(name string, m *mending) time.Duration {
	if m == nil {
		return 0
	}
	delete(w.said, "mending "+name)
	m.unmade = time.Time{}
	if m.count == 0 { // It came to be so by itself.
		delete(w.mended, name)
		return 0
	}
	if m.good.IsZero() {
		m.good = time.Now()
	}
	if left := calm - time.Since(m.good); left > 0 {
		return left
	}
	if m.said {
		w.Log(Notice, name+" holds again")
	}
	delete(w.mended, name)
	return 0
}

// linkOf is the interface that a resource is on, and goes with; "" is none.
func linkOf(r engine.Resource) string { return r.Traits().Link }

// indexOf is the index of the interface that a resource is on; 0 is none.
func indexOf(f facts.Facts, r engine.Resource) int {
	link, _ := f.Link(linkOf(r))
	return link.Index
}

// restore writes one resource back and says when to look at it again.
func (w *Watch) restore(ctx context.Context, f facts.Facts, c engine.Change) (again time.Duration) {
	name := c.After.Name()
	m := w.mended.of(name)
	limited, cancel := context.WithTimeoutCause(ctx, passTime, fmt.Errorf("%v are over", passTime))
	defer cancel()
	w.changed = true
	if err := c.After.Write(limited, w.Host); err != nil {
		w.complain("mending "+name, Failure, fmt.Sprintf("cannot mend %s: %v; trying again", name, err))
		again = m.failed(c.After, indexOf(f, c.After), time.Now())
	} else {
		delete(w.said, "mending "+name)
		again = m.mended(c.After)
		w.report(m, c)
	}
	m.until = time.Now().Add(again)
	return again
}

// report says that a resource was mended, or that this does not hold.
func (w *Watch) report(m *mending, c engine.Change) {
	name, by := c.After.Name(), w.events.Who(c.After).Did()
	switch {
	case m.count < few:
		w.Log(Notice, fmt.Sprintf("mended %s, which %s%s", name, was(c.Before), by))
	case !m.said:
		m.said = true
		w.Log(Warning, fmt.Sprintf("%s does not stay as it was mended: %d times in a row it %s%s; trying again ever less often", name, m.count, was(c.Before), by))
	}
}

func was(before engine.Resource) string {
	text := strings.TrimSpace(before.Text())
	switch {
	case text == "":
		return "was gone"
	case len(text) < 100:
		return "was " + strings.ReplaceAll(text, "\n", ", ")
	}
	return "had been changed"
}
