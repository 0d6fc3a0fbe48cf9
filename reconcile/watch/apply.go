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

// passTime bounds the writes of one pass. The watchdog is not answered meanwhile, so the unit's WatchdogSec must be longer
// than passTime and the engine's rollbackTime together.
const passTime = 20 * time.Second

func limitPass(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, passTime, fmt.Errorf("timed out after %v", passTime))
}

// apply makes the machine what is desired, or leaves it as it was and returns when to try again.
func (w *Watch) apply(ctx context.Context, f facts.Facts, to target) (done bool, again time.Duration) {
	now := time.Now()
	if !w.retry.due(engine.Rendering(to.want), now) {
		return false, w.retry.at.Sub(now)
	}
	unlock, ok := w.lock(ctx)
	if !ok {
		return false, w.timings.lock
	}
	defer unlock()
	w.Notify("WATCHDOG=1\nSTATUS=applying " + to.line)
	begin := time.Now()
	limited, cancel := limitPass(ctx)
	defer cancel()
	transition := gateway.Transition{Live: w.applied != nil}
	if to.gateway.RenumberedFrom(w.applied, f) {
		transition.NoReload, transition.Stale = true, w.told.CEAddress()
	}
	w.changed = true
	all := w.list(to, f, transition)
	if !w.unreadable && !w.unwritable.IsZero() && engine.Rendering(kernelOnly(all)) == engine.Rendering(kernelOnly(w.want)) {
		all = slices.DeleteFunc(slices.Clone(all), isKernels) // The kernel's part was made without, and a rollback must not disturb it.
	}
	changes, err := engine.Converge(limited, w.Host, all)
	if err != nil && ctx.Err() != nil {
		return false, 0 // The service is stopped.
	}
	if err != nil {
		w.retry.failed(&w.timings, time.Now())
		if u := (engine.Unwritten{}); errors.As(err, &u) && !isKernels(u.Resource) {
			// Packets do not depend on it, and its cause may go at any time: what is the kernel's is made without.
			w.retry.at = time.Now().Add(w.timings.unreadable)
			w.unwritable = w.retry.at
		}
		w.problem("apply", Failure, fmt.Sprintf("cannot apply %s: %v", to.line, err))
		if len(changes) > 0 {
			w.want, w.applied = nil, nil // What the machine is now is not known.
		}
		if w.unwritable == w.retry.at {
			return false, w.timings.settling
		}
		return false, time.Until(w.retry.at)
	}
	w.finish(to, f, transition)
	what := "in sync"
	if len(changes) > 0 {
		what = fmt.Sprintf("changed in %v: %s", time.Since(begin).Round(time.Millisecond), strings.Join(names(changes), ", "))
	}
	w.Log(Notice, to.line+"; "+what)
	return true, 0
}

// list is what is desired in an order of writing. While files cannot be read they stay as they are.
func (w *Watch) list(to target, f facts.Facts, t gateway.Transition) []engine.Resource {
	all := to.want // The guard has no transition.
	if to.gateway != nil && t != (gateway.Transition{}) {
		all = w.Compile(t, to.gateway, f)
	}
	if w.unreadable {
		all = kernelOnly(all)
	}
	return all
}

// finish makes what was applied what the watch maintains.
func (w *Watch) finish(to target, f facts.Facts, transition gateway.Transition) {
	w.retry = retry{}
	if !w.unreadable { // Else files may be missing still.
		w.forget("apply")
		w.unwritable = time.Time{}
	}
	want := gateway.Lasting(w.list(to, f, gateway.Transition{Stale: transition.Stale}))
	if w.unreadable {
		want = append(want, slices.DeleteFunc(slices.Clone(w.want), isKernels)...)
	}
	if slices.Contains(to.want, engine.Resource(gateway.LastSection{})) { // A line that is withdrawn.
		w.sections.proven, w.sections.kept = nil, nil
	}
	w.want, w.applied, w.line, w.backoffs = want, to.gateway, to.line, backoffs{}
	if !transition.NoReload && !w.unreadable {
		w.told = to.gateway
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
		w.ended("lock", "the other run has ended")
		return unlock, true
	case errors.Is(err, host.ErrLocked):
		w.problem("lock", Detail, "waiting: "+err.Error())
	default:
		w.problem("lock", Warning, "working without a lock: "+err.Error())
		return func() {}, true
	}
	return nil, false
}
