package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mape-netplan/reconcile/host"
)

const (
	// rollbackTime bounds the writes of a rollback: the context that ended cannot.
	rollbackTime = 30 * time.Second
	// lookTime is how much longer the look at what came of them may take.
	lookTime = 5 * time.Second
)

// Rollback brings back what was found on the machine, and returns what it could not, each as what it was and what it is
// now. It looks at everything that was found, not only at what was written: a link that is deleted takes its routes and
// parameters along, and a daemon that reads its files again configures more than what it was told for.
//
// The order is that of the stages. Within one, what was written comes first, the last write before the others, so that a
// tunnel is guarded as it was on the way there; then the rest in the order in which it is made.
func Rollback(h *host.Host, found, done []Change) (left []Change, err error) {
	whole, stop := context.WithTimeout(context.Background(), rollbackTime+lookTime)
	defer stop()
	ctx, cancel := context.WithTimeout(whole, rollbackTime)
	defer cancel()
	at := byStage(found, done)
	before := append(at[Files], at[Live]...)
	err = restore(ctx, h, before)
	left, unread := unlike(whole, h, before)
	if err == nil {
		err = unread
	}
	if len(left) == 0 {
		err = nil // What failed has settled since.
	} else {
		behind := fmt.Errorf("left behind: %s", Summary(left))
		if err != nil {
			behind = fmt.Errorf("%w: %w", err, behind)
		}
		err = fmt.Errorf("rolling back: %w", behind)
	}
	for _, r := range at[Cleanup] {
		if e := r.Write(ctx, h); e != nil {
			left = append(left, Change{r, r})
			err = errors.Join(err, fmt.Errorf("rolling back: %s: %w", r.Name(), e))
		}
	}
	for i, c := range left {
		left[i] = Change{c.After, c.Before}
	}
	return left, err
}

// byStage lists what a rollback writes.
func byStage(found, done []Change) map[Stage][]Resource {
	at := map[Stage][]Resource{}
	written := map[string]bool{}
	for _, c := range slices.Backward(done) {
		written[c.After.Name()] = true
		// What was as wanted at first may have been written in a later turn.
		if i := slices.IndexFunc(found, func(f Change) bool { return f.After.Name() == c.After.Name() }); i >= 0 {
			c = found[i]
		}
		for _, r := range restored(c) {
			at[r.Traits().Stage] = append(at[r.Traits().Stage], r)
		}
	}
	for _, c := range found {
		for _, r := range restored(c) {
			stage := r.Traits().Stage
			// What was settling when it was found goes on doing so.
			if !written[c.After.Name()] && stage != Cleanup && r.Text() == c.Before.Text() {
				at[stage] = append(at[stage], r)
			}
		}
	}
	return at
}

// restored is what a rollback writes for one change.
func restored(c Change) []Resource {
	if r, ok := c.Before.(Restorer); ok {
		return r.Restore(c.After)
	}
	return []Resource{c.Before}
}

// restore writes resources back until none differs. A resource that cannot be written does not hold up the others.
func restore(ctx context.Context, h *host.Host, before []Resource) error {
	const enough = 3 // turns in a row in which nothing could be written
	for pause, failed := host.Settle, 0; ; pause = min(2*pause, host.SettleMost) {
		left, err := unlike(ctx, h, before)
		if len(left) == 0 {
			return nil
		}
		written := false
		for _, c := range left {
			// What cannot be read can perhaps be written.
			if e := c.After.Write(ctx, h); e != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w", c.After.Name(), e))
			} else {
				written = true
			}
		}
		if failed++; written {
			failed = 0
		}
		if failed == enough || host.Wait(ctx, pause) != nil {
			return errors.Join(err, context.Cause(ctx))
		}
	}
}

// unlike lists the resources that differ on the machine or cannot be read. What settles without a write counts as equal.
func unlike(ctx context.Context, h *host.Host, all []Resource) (left []Change, err error) {
	for _, r := range all {
		found, e := compare(ctx, h, []Resource{r}, nil)
		if e != nil {
			left = append(left, Change{unknown{r}, r})
			err = errors.Join(err, e)
			continue
		}
		for _, c := range differing(found) {
			if !Settles(c.After, c.Before) {
				left = append(left, c)
			}
		}
	}
	return left, err
}

// unknown is a resource that cannot be read.
type unknown struct{ Resource }

func (unknown) Text() string { return "unknown\n" }
