// Package reconcile makes a machine a gateway in one run: it waits for the line, puts up the guard, converges, and takes back what failed.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/line"
	"mape-netplan/schema"
)

// A Run is one run on a machine, with what it has made before there was a
// gateway to make: a run that fails takes it back.
type Run struct {
	line.Asker
	Asked []engine.Change // that make networkd ask for a prefix
	guard *replaced       // that was put in the place of another table, or of none
}

// NewRun begins a run.
func NewRun(h *host.Host) *Run { return &Run{Asker: line.Asker{Host: h}} }

// Await fits a section to the machine as soon as the line has what it needs: at
// boot a router advertisement may be later than we are. waiting is told once
// what is missing, and a delegation that the section wants is asked for.
// Meanwhile a guard stands before the tunnel: see Unguard. It is put back when
// somebody flushes it, because the run has the lock, and no watch may.
func (r *Run) Await(ctx context.Context, c *schema.Config, waiting func(error)) (*gateway.Gateway, facts.Facts, error) {
	told := false
	for {
		facts, err := facts.Gather(r.Host)
		if err != nil {
			return nil, facts, err
		}
		facts.Discovered = r.Latest(facts.Discovered)
		found, missing := line.Find(c, facts)
		if line.AsksNow(c, found, facts) { // That takes seconds.
			if _, _, err = r.PutGuard(ctx, c); err == nil {
				facts, err = r.Inform(ctx, c, found, facts)
			}
			if err != nil {
				return nil, facts, err
			}
			found, missing = line.Find(c, facts)
		}
		aim := gateway.ResolveLine(c, facts, found, missing)
		err = aim.Err
		if !errors.Is(err, line.ErrNotYet) || errors.Is(err, discovery.ErrWithdrawn) || !r.Host.Live() {
			return aim.Gateway, facts, err
		}
		if _, _, err := r.PutGuard(ctx, c); err != nil {
			return nil, facts, err
		}
		if !told {
			waiting(err)
			told = true
		}
		if err := r.Ask(ctx, c, found, facts); err != nil {
			return nil, facts, err
		}
		if ended := host.Wait(ctx, 250*time.Millisecond); ended != nil {
			return nil, facts, fmt.Errorf("%w: %w", ended, err)
		}
	}
}

// Converge makes the machine what is wanted. A run that fails also takes back what it did before.
func (r *Run) Converge(ctx context.Context, want []engine.Resource) ([]engine.Change, error) {
	changes, err := engine.ConvergeOr(ctx, r.Host, want, r.TakeBack)
	if err == nil {
		r.Asked, r.guard = nil, nil // They are part of what holds now.
	}
	return changes, err
}

// TakeBack undoes what a run did on this machine before it converged: it asked
// for a delegation and put up a guard. It returns what is left.
func (r *Run) TakeBack(ctx context.Context) ([]engine.Change, error) {
	asked, err := r.Unask()
	guard, stays := r.Unguard(ctx)
	return slices.Concat(asked, guard), errors.Join(err, stays)
}
