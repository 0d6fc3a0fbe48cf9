package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A retry is when something that failed is tried again.
type retry struct {
	what  string // of which the failure was
	count int
	at    time.Time
}

// Between the tries of something that fails: from retryFirst, doubled each
// time, to retryMost.
const (
	retryFirst = time.Second
	retryMost  = 5 * time.Minute
)

// doubled is the n-th pause, n from 1, of those that double from first to most.
func doubled(first, most time.Duration, n int) time.Duration {
	for ; n > 1 && first < most; n-- {
		first *= 2
	}
	return min(first, most)
}

// due says whether it may be tried now: something else may at once.
func (r *retry) due(what string, now time.Time) bool {
	if r.what != what {
		*r = retry{what: what}
	}
	return !now.Before(r.at)
}

func (r *retry) failed(now time.Time) {
	r.count++
	r.at = now.Add(doubled(retryFirst, retryMost, r.count))
}

// make makes the machine what it is to be, or leaves it as it was and says when to
// try again.
func (w *Watch) make(ctx context.Context, t aim) (done bool, again time.Duration) {
	now := time.Now()
	if !w.retry.due(rendering(t.want), now) {
		return false, w.retry.at.Sub(now)
	}
	unlock, ok := w.lock(ctx)
	if !ok {
		return false, lockPause
	}
	defer unlock()
	w.Notify("WATCHDOG=1\nSTATUS=bringing about " + t.line)
	begin := time.Now()
	limited, cancel := context.WithTimeoutCause(ctx, passTime, fmt.Errorf("%v are over", passTime))
	defer cancel()
	want := t.want
	if len(w.want) > 1 {
		want = liveFirst(want)
	}
	var kept []Resource
	if renumbers(w.want, t.want) {
		want, kept = untold(want), bygoneOf(w.want, t.want)
	}
	if w.blind { // The files are kept as they are.
		kept = slices.DeleteFunc(slices.Clone(w.want), isKernels)
	}
	w.changed = true
	changes, err := Converge(limited, w.Host, want)
	if err != nil && ctx.Err() != nil {
		return false, 0 // The service is stopped.
	}
	if err != nil {
		w.retry.failed(time.Now())
		w.complain("make", Failure, fmt.Sprintf("cannot bring about %s: %v", t.line, err))
		if len(changes) > 0 {
			w.want = nil // Who knows what it is now.
		}
		return false, time.Until(w.retry.at)
	}
	w.retry = retry{}
	delete(w.said, "make")
	w.want, w.line, w.mended = append(lasting(t.want), kept...), t.line, ledger{}
	what := "everything was there"
	if len(changes) > 0 {
		what = fmt.Sprintf("changed in %v: %s", time.Since(begin).Round(time.Millisecond), strings.Join(changed(changes), ", "))
	}
	w.Log(Notice, t.line+"; "+what)
	return true, 0
}

// liveFirst is what Compile lists in another order, for a gateway that is there
// and becomes another one: what packets meet comes first, because people wait
// for it, and netplan's generator and networkd's reload take a second on a slow
// machine. The files come after, as they do when nobody watches.
func liveFirst(want []Resource) []Resource {
	rank := func(r Resource) int {
		switch r.(type) {
		case Table, Address, Tunnel, Egress, Route, Sysctl:
			return 0
		case Flows:
			return 1
		}
		return 2
	}
	all := slices.Clone(want)
	slices.SortStableFunc(all, func(a, b Resource) int { return cmp.Compare(rank(a), rank(b)) })
	return all
}

// lasting is what is kept of what was made: not that something of an earlier
// line is absent, because whoever puts it there later has a reason. Connections
// that are translated as nobody wants are looked for again.
func lasting(want []Resource) []Resource {
	return slices.DeleteFunc(slices.Clone(want), func(r Resource) bool {
		_, ok := r.(Flows)
		return !ok && r.Text() == ""
	})
}

func changed(changes []Change) (names []string) {
	for _, c := range changes {
		names = append(names, c.After.Name())
	}
	return names
}

// lockPause is between two looks at a lock that another run has; a run takes
// seconds, one that waits for the line longer.
const lockPause = 200 * time.Millisecond

// lock takes the lock if nobody has it.
func (w *Watch) lock(ctx context.Context) (unlock func(), ok bool) {
	soon, cancel := context.WithCancel(ctx)
	cancel() // One try: the watchdog is to be answered meanwhile.
	unlock, err := w.Host.Lock(soon, "mape-netplan watch")
	switch {
	case err == nil:
		w.fine("lock")
		return unlock, true
	case errors.Is(err, errLocked):
		w.complain("lock", Detail, "waiting: "+err.Error())
	default:
		w.complain("lock", Failure, err.Error())
	}
	return nil, false
}
