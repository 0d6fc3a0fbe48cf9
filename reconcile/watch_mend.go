package reconcile

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// mend brings back what differs from what was made, each resource for itself.
func (w *Watch) mend(ctx context.Context, f Facts) (again time.Duration) {
	if len(w.want) == 0 {
		return 0
	}
	differ, again := w.drift(ctx, w.want)
	if len(differ) == 0 {
		return again
	}
	unlock, ok := w.lock(ctx)
	if !ok {
		return lockPause
	}
	defer unlock()
	// Whoever had the lock before may have mended it.
	var wrong []Resource
	for _, c := range differ {
		wrong = append(wrong, c.After)
	}
	differ, soon := w.drift(ctx, wrong)
	again = soonest(again, soon)
	for _, c := range differ {
		again = soonest(again, w.restore(ctx, c))
	}
	return again
}

// drift lists which of some resources are to be mended now, and when the rest of
// what differs is.
func (w *Watch) drift(ctx context.Context, all []Resource) (now []Change, again time.Duration) {
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
		if settles(r, live) {
			again = soonest(again, time.Second)
			continue
		}
		if wait := m.wait(); wait > 0 || missing[linkOf(r)] {
			again = soonest(again, max(wait, mendFirst))
			if t, ok := r.(Tunnel); ok {
				missing[t.Link] = true
			}
			continue
		}
		now = append(now, Change{live, r})
	}
	return now, again
}

// holds notes that a resource is as it was made, and says when to look whether
// it still is.
func (w *Watch) holds(name string, m *mending) time.Duration {
	if m == nil {
		return 0
	}
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

// settles says whether a difference goes by itself: duplicate address
// detection takes a second or two, and so does a delegation.
func settles(want, live Resource) bool {
	switch live := live.(type) {
	case Address:
		return live.Text() == want.Text()+detectionRuns
	case awaiting:
		return live.Managed.Text() == want.Text()
	}
	return false
}

// linkOf is the tunnel that a resource is on; "" is none.
func linkOf(r Resource) string {
	switch r := r.(type) {
	case Route:
		return r.Link
	case Sysctl:
		if link, ok := strings.CutPrefix(r.Key, "net/ipv4/conf/"); ok {
			return strings.TrimSuffix(link, "/rp_filter")
		}
	}
	return ""
}

// restore writes one resource back and says when to look at it again.
func (w *Watch) restore(ctx context.Context, c Change) time.Duration {
	name := c.After.Name()
	m := w.mended.of(name)
	m.count++
	pause := m.pause(c.After)
	m.until = time.Now().Add(pause)
	limited, cancel := context.WithTimeoutCause(ctx, passTime, fmt.Errorf("%v are over", passTime))
	defer cancel()
	w.changed = true
	err := c.After.Write(limited, w.Host)
	who := w.events.who(c.After)
	switch {
	case err != nil:
		w.complain("mending "+name, Failure, fmt.Sprintf("cannot mend %s: %v; trying again", name, err))
	case m.count < few:
		w.Log(Notice, fmt.Sprintf("mended %s, which %s%s", name, was(c.Before), who.did()))
	case !m.said:
		m.said = true
		w.Log(Warning, fmt.Sprintf("%s does not stay as it was mended: %d times in a row it %s%s; trying again ever less often", name, m.count, was(c.Before), who.did()))
	}
	if err == nil {
		delete(w.said, "mending "+name)
	}
	return pause
}

func was(before Resource) string {
	text := strings.TrimSpace(before.Text())
	switch {
	case text == "":
		return "was gone"
	case len(text) < 100:
		return "was " + strings.ReplaceAll(text, "\n", ", ")
	}
	return "had been changed"
}
