package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
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
func (w *Watch) make(ctx context.Context, f facts.Facts, t aim) (done bool, again time.Duration) {
	now := time.Now()
	if !w.retry.due(engine.Rendering(t.want), now) {
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
	order := gateway.Order{Live: w.made != nil}
	if t.gateway.Renumbers(w.made, f) {
		order.Quiet, order.Told = true, w.told
	}
	list := func(o gateway.Order) []engine.Resource {
		all := t.list(w.Compile, f, o)
		if w.blind { // The files are kept as they are.
			all = kernels(all)
		}
		return all
	}
	want := list(order)
	w.changed = true
	changes, err := engine.Converge(limited, w.Host, want)
	if err != nil && ctx.Err() != nil {
		return false, 0 // The service is stopped.
	}
	if err != nil {
		w.retry.failed(time.Now())
		w.complain("make", Failure, fmt.Sprintf("cannot bring about %s: %v", t.line, err))
		if len(changes) > 0 {
			w.want, w.made = nil, nil // What it is now is not known.
		}
		return false, time.Until(w.retry.at)
	}
	w.retry = retry{}
	delete(w.said, "make")
	want = gateway.Lasting(list(gateway.Order{Told: order.Told}))
	if w.blind {
		want = append(want, slices.DeleteFunc(slices.Clone(w.want), isKernels)...)
	}
	w.want = want
	w.made, w.line, w.mended = t.gateway, t.line, ledger{}
	if !order.Quiet && !w.blind {
		w.told = t.gateway.CEAddress()
	}
	what := "everything was there"
	if len(changes) > 0 {
		what = fmt.Sprintf("changed in %v: %s", time.Since(begin).Round(time.Millisecond), strings.Join(changed(changes), ", "))
	}
	w.Log(Notice, t.line+"; "+what)
	return true, 0
}

func changed(changes []engine.Change) (names []string) {
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
	case errors.Is(err, host.ErrLocked):
		w.complain("lock", Detail, "waiting: "+err.Error())
	default:
		w.complain("lock", Failure, err.Error())
	}
	return nil, false
}
