package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mape-netplan/schema"
)

// A Run is one run on a machine, with what it has made before there was a
// gateway to make: a run that fails takes it back.
type Run struct {
	Asker
	asked []Change  // that make networkd ask for a prefix
	guard *replaced // that was put in the place of another table, or of none
}

// NewRun begins a run.
func NewRun(h *Host) *Run { return &Run{Asker: Asker{Host: h}} }

// Await fits a section to the machine as soon as the line has what it needs: at
// boot a router advertisement may be later than we are. waiting is told once
// what is missing, and a delegation that the section wants is asked for.
// Meanwhile a guard stands before the tunnel: see Unguard. It is put back when
// somebody flushes it, because the run has the lock, and no watch may.
func (r *Run) Await(ctx context.Context, c *schema.Config, waiting func(error)) (*Gateway, Facts, error) {
	told := false
	for {
		facts, err := Gather(r.Host)
		if err != nil {
			return nil, facts, err
		}
		facts.Discovered = r.latest(facts.Discovered)
		line, missing := Find(c, facts)
		if asksNow(c, line, facts) { // That takes seconds.
			if _, _, err = r.PutGuard(ctx, c); err == nil {
				facts, err = r.inform(ctx, c, line, facts)
			}
			if err != nil {
				return nil, facts, err
			}
			line, missing = Find(c, facts)
		}
		aim := ResolveLine(c, facts, line, missing)
		err = aim.Err
		if !errors.Is(err, ErrNotYet) || errors.Is(err, ErrWithdrawn) || !r.Host.Live() {
			return aim.Gateway, facts, err
		}
		if _, _, err := r.PutGuard(ctx, c); err != nil {
			return nil, facts, err
		}
		if !told {
			waiting(err)
			told = true
		}
		if err := r.Ask(ctx, c, line, facts); err != nil {
			return nil, facts, err
		}
		if ended := wait(ctx, 250*time.Millisecond); ended != nil {
			return nil, facts, fmt.Errorf("%w: %w", ended, err)
		}
	}
}

// Converge makes the machine what is wanted. A run that fails also takes back what it did before.
func (r *Run) Converge(ctx context.Context, want []Resource) ([]Change, error) {
	changes, err := ConvergeOr(ctx, r.Host, want, r.TakeBack)
	if err == nil {
		r.asked, r.guard = nil, nil // They are part of what holds now.
	}
	return changes, err
}

// TakeBack undoes what a run did on this machine before it converged: it asked
// for a delegation and put up a guard. It returns what is left.
func (r *Run) TakeBack(ctx context.Context) ([]Change, error) {
	asked, err := r.Unask()
	guard, stays := r.Unguard(ctx)
	return slices.Concat(asked, guard), errors.Join(err, stays)
}
