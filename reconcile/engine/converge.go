package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mape-netplan/reconcile/host"
)

// Converge makes the machine what is wanted and returns what it changed. It plans, writes each change in order, and looks
// again until nothing differs; a plan without changes ends it. If a write fails or ctx ends first, it rolls everything
// back, and the error names what did not settle. It returns then only what could not be rolled back, each as what it was
// and what it is now.
func Converge(ctx context.Context, h *host.Host, want []Resource) ([]Change, error) {
	return ConvergeOr(ctx, h, want, func(context.Context) ([]Change, error) { return nil, nil })
}

// ConvergeOr is Converge for a run that has changed something before. After a rollback undo takes that back, too, and
// returns what it could not.
func ConvergeOr(ctx context.Context, h *host.Host, want []Resource, undo func(context.Context) ([]Change, error)) ([]Change, error) {
	var found, done []Change
	for pause := host.Settle; ; pause = min(2*pause, host.SettleMost) {
		all, err := compare(ctx, h, want, nil)
		if found == nil {
			found = all
		}
		changes := differing(all)
		if err == nil && len(changes) == 0 {
			return done, nil
		}
		if err == nil {
			done, err = Write(ctx, h, changes, done)
		}
		if err == nil {
			err = host.Wait(ctx, pause)
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil && len(changes) > 0 {
			err = fmt.Errorf("%w: did not settle in time: %s", err, Summary(changes))
		}
		if len(done) == 0 {
			return nil, err
		}
		left, failed := Rollback(h, found, done)
		more, stays := undo(context.WithoutCancel(ctx))
		if left = append(left, more...); failed != nil || stays != nil || len(left) > 0 {
			return left, errors.Join(err, failed, stays)
		}
		return nil, fmt.Errorf("%w\nevery change was rolled back", err)
	}
}

// Write makes the changes, except those that settle by themselves. It returns done with each change whose resource is not in
// it yet: a rollback restores what was found first.
func Write(ctx context.Context, h *host.Host, changes, done []Change) ([]Change, error) {
	for _, c := range changes {
		if ctx.Err() != nil {
			return done, context.Cause(ctx)
		}
		if Settles(c.After, c.Before) {
			continue
		}
		// Before the write: one that fails may have done half of its work.
		if !slices.ContainsFunc(done, func(d Change) bool { return d.After.Name() == c.After.Name() }) {
			done = append(done, c)
		}
		if err := c.After.Write(ctx, h); err != nil {
			return done, Unwritten{c.After, err}
		}
	}
	return done, nil
}

// Unwritten is the error of a resource that could not be written.
type Unwritten struct {
	Resource
	Err error
}

func (u Unwritten) Error() string { return u.Name() + ": " + u.Err.Error() }

func (u Unwritten) Unwrap() error { return u.Err }
