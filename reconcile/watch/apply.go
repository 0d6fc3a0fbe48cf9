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

// due reports whether what may be tried now; something else than what failed always may.
func (r *retry) due(what string, now time.Time) bool {
	if r.what != what {
		*r = retry{what: what}
	}
	return !now.Before(r.at)
}

func (r *retry) failed(p *pace, now time.Time) {
	r.count++
	r.at = now.Add(doubled(p.retry, p.retryMost, r.count))
}

// passTime is how long one pass may take to apply or restore something. With the engine's rollbackTime it is what a
// watchdog has to leave: none is answered meanwhile.
const passTime = 20 * time.Second

func limitPass(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, passTime, fmt.Errorf("timed out after %v", passTime))
}

// apply makes the machine what is desired, or leaves it as it was and returns when to try again.
func (w *Watch) apply(ctx context.Context, f facts.Facts, d desired) (done bool, again time.Duration) {
	now := time.Now()
	if !w.retry.due(engine.Rendering(d.want), now) {
		return false, w.retry.at.Sub(now)
	}
	unlock, ok := w.lock(ctx)
	if !ok {
		return false, w.pace.lock
	}
	defer unlock()
	w.Notify("WATCHDOG=1\nSTATUS=applying " + d.line)
	begin := time.Now()
	limited, cancel := limitPass(ctx)
	defer cancel()
	order := gateway.Transition{Live: w.applied != nil}
	if d.gateway.RenumberedFrom(w.applied, f) {
		order.NoReload, order.Stale = true, w.told.CEAddress()
	}
	w.changed = true
	changes, err := engine.Converge(limited, w.Host, w.list(d, f, order))
	if err != nil && ctx.Err() != nil {
		return false, 0 // The service is stopped.
	}
	if err != nil {
		w.retry.failed(&w.pace, time.Now())
		w.logOnce("apply", Failure, fmt.Sprintf("cannot apply %s: %v", d.line, err))
		if len(changes) > 0 {
			w.want, w.applied = nil, nil // What the machine is now is not known.
		}
		return false, time.Until(w.retry.at)
	}
	w.finish(d, f, order)
	what := "in sync"
	if len(changes) > 0 {
		what = fmt.Sprintf("changed in %v: %s", time.Since(begin).Round(time.Millisecond), strings.Join(names(changes), ", "))
	}
	w.Log(Notice, d.line+"; "+what)
	return true, 0
}

// list is what is desired in an order of writing. While files cannot be read they stay as they are.
func (w *Watch) list(d desired, f facts.Facts, o gateway.Transition) []engine.Resource {
	all := d.want // The guard has no order.
	if d.gateway != nil && o != (gateway.Transition{}) {
		all = w.Compile(o, d.gateway, f)
	}
	if w.unreadable {
		all = kernelOnly(all)
	}
	return all
}

// finish makes what was applied what the watch maintains.
func (w *Watch) finish(d desired, f facts.Facts, order gateway.Transition) {
	w.retry = retry{}
	delete(w.logged, "apply")
	want := gateway.Lasting(w.list(d, f, gateway.Transition{Stale: order.Stale}))
	if w.unreadable {
		want = append(want, slices.DeleteFunc(slices.Clone(w.want), isKernels)...)
	}
	w.want, w.applied, w.line, w.backoffs = want, d.gateway, d.line, backoffs{}
	if !order.NoReload && !w.unreadable {
		w.told = d.gateway
	}
}

func names(changes []engine.Change) (all []string) {
	for _, c := range changes {
		all = append(all, c.After.Name())
	}
	return all
}

// lock takes the lock unless another run holds it. Where there can be no lock, nothing has it: the gateway is maintained
// without.
func (w *Watch) lock(ctx context.Context) (unlock func(), ok bool) {
	once, cancel := context.WithCancel(ctx)
	cancel() // Lock tries once; a wait would leave the watchdog without an answer.
	unlock, err := w.Host.Lock(once, "mape-netplan watch")
	switch {
	case err == nil:
		w.resolved("lock")
		return unlock, true
	case errors.Is(err, host.ErrLocked):
		w.logOnce("lock", Detail, "waiting: "+err.Error())
	default:
		w.logOnce("lock", Warning, "working without a lock: "+err.Error())
		return func() {}, true
	}
	return nil, false
}
