package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mape-netplan/reconcile/host"
)

// rollbackTime is how long taking changes back may take: the context that
// ended cannot limit it.
const rollbackTime = 30 * time.Second

// Rollback makes the machine what was found on it and returns what is not so
// then. Besides what was written it looks at all that was found: a link that
// goes takes its routes and parameters along, and a daemon that reads its files
// again does more than it was asked for.
//
// Files are first, because a daemon that is prodded before its files are back
// reads the wrong ones; then what was written, the last first; then the rest in
// the order in which it is made. The guard goes when all else has gone.
func Rollback(h *host.Host, found, done []Change) (left []Change, err error) {
	whole, stop := context.WithTimeout(context.Background(), rollbackTime+lookTime)
	defer stop()
	ctx, cancel := context.WithTimeout(whole, rollbackTime)
	defer cancel()
	at := map[Stage][]Resource{}
	written := map[string]bool{}
	for _, c := range slices.Backward(done) {
		written[c.After.Name()] = true
		// What was as wanted may have been written in a later turn.
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
			// What moved by itself when it was found moves on.
			if !written[c.After.Name()] && stage != Cleanup && r.Text() == c.Before.Text() {
				at[stage] = append(at[stage], r)
			}
		}
	}
	err = errors.Join(restore(ctx, h, append(at[Files], at[Live]...)), restore(ctx, h, at[Guard]))
	left, unread := unlike(whole, h, slices.Concat(at[Files], at[Live], at[Guard]))
	if err == nil {
		err = unread
	}
	if len(left) == 0 {
		err = nil // It has come to be so since.
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

// restore writes resources back until none differs. One that cannot be written
// does not keep the others from being.
func restore(ctx context.Context, h *host.Host, before []Resource) error {
	const enough = 3 // times that nothing could be written
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
