// Package reconcile makes a machine an IPoE gateway and keeps it one.
//
// Everything it manages is a [Resource] that renders itself as text; equality,
// plans, drift and rollback all come from that one rendering. A function that
// takes a [*Host] reads or changes the machine; every other one is pure.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// A Resource is one thing on the machine that the program owns: a file, a
// link, a table.
type Resource interface {
	// Name says what it is, in the words of the tool that shows it:
	// "file /etc/netplan/99-ipoe-gw.yaml", "table ip mape".
	Name() string
	// Text is the canonical state; "" is absent. Equal texts are equal states.
	Text() string
	// Read returns the live counterpart. An error that wraps fs.ErrPermission
	// says that the caller may not look.
	Read(context.Context, *Host) (Resource, error)
	// Write makes the live state this one.
	Write(context.Context, *Host) error
	// Traits are what the engine and the watch need to know of it besides its text.
	Traits() Traits
}

// A Change is a difference between the machine and what is wanted.
type Change struct{ Before, After Resource }

// Plan returns the changes that would make the machine what is wanted, in the
// order in which they would be made.
func Plan(ctx context.Context, h *Host, want []Resource) ([]Change, error) {
	var changes []Change
	for _, after := range want {
		before, err := after.Read(ctx, h)
		if errors.Is(err, fs.ErrPermission) && h.Hidden != nil {
			h.Hidden(after.Name(), err)
			before, err = hidden{after}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", after.Name(), err)
		}
		if before.Text() != after.Text() {
			changes = append(changes, Change{before, after})
		}
	}
	return changes, nil
}

// hidden stands for a resource that the caller may not read: a plan by an
// unprivileged user shows it as if it were absent.
type hidden struct{ Resource }

func (hidden) Text() string { return "" }

// The pause between two looks at a machine whose daemons are still acting on
// what was written: from settle, doubled each time, to settleMost.
const (
	settle     = 50 * time.Millisecond
	settleMost = time.Second
)

// rollbackTime is how long taking changes back may take: the context that
// ended cannot limit it.
const rollbackTime = 30 * time.Second

// Converge makes the machine what is wanted and returns what it changed: plan;
// nothing to do, done; otherwise write each change in order and look again
// until nothing differs. If a write fails or ctx ends first, everything
// written is taken back in reverse, and the error says what did not settle; then
// changes are only returned when that failed too.
func Converge(ctx context.Context, h *Host, want []Resource) ([]Change, error) {
	var done []Change
	for pause := settle; ; pause = min(2*pause, settleMost) {
		changes, err := Plan(ctx, h, want)
		if err == nil && len(changes) == 0 {
			return done, nil
		}
		if err == nil {
			done, err = write(ctx, h, changes, done)
		}
		if err == nil {
			err = wait(ctx, pause)
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil && len(changes) > 0 {
			err = fmt.Errorf("%w: did not settle in time: %s", err, summary(changes))
		}
		if len(done) == 0 {
			return nil, err
		}
		if left := rollback(h, done); left != nil {
			return done, errors.Join(err, left)
		}
		return nil, fmt.Errorf("%w\nevery change was rolled back", err)
	}
}

// write makes the changes and returns done with those that are new in it: what
// was found first is what rollback must restore.
func write(ctx context.Context, h *Host, changes, done []Change) ([]Change, error) {
	for _, c := range changes {
		if ctx.Err() != nil {
			return done, context.Cause(ctx)
		}
		if settles(c.After, c.Before) {
			continue
		}
		// Before the write: one that fails may have done half of its work.
		if !slices.ContainsFunc(done, func(d Change) bool { return d.After.Name() == c.After.Name() }) {
			done = append(done, c)
		}
		if err := c.After.Write(ctx, h); err != nil {
			return done, fmt.Errorf("%s: %w", c.After.Name(), err)
		}
	}
	return done, nil
}

// rollback writes every Before back until all are: files first, because a
// daemon that is prodded before its files are back reads the wrong ones, then
// the rest with the last change first. The guard goes when all else has gone.
func rollback(h *Host, done []Change) error {
	ctx, cancel := context.WithTimeout(context.Background(), rollbackTime)
	defer cancel()
	at := map[Stage][]Resource{}
	for _, c := range slices.Backward(done) {
		for _, r := range restored(c) {
			stage := r.Traits().Stage
			at[stage] = append(at[stage], r)
		}
	}
	err := restore(ctx, h, append(at[Files], at[Live]...))
	if left := restore(ctx, h, at[Guard_]); left != nil {
		err = errors.Join(err, left)
	}
	for _, r := range at[Cleanup] {
		err = errors.Join(err, r.Write(ctx, h))
	}
	return err
}

// restore writes resources back until none differs. One that cannot be written
// does not keep the others from being.
func restore(ctx context.Context, h *Host, before []Resource) error {
	const enough = 3 // times that nothing could be written
	for pause, failed := settle, 0; ; pause = min(2*pause, settleMost) {
		left, err := Plan(ctx, h, before)
		if err == nil && len(left) == 0 {
			return nil
		}
		if err != nil {
			// What cannot be read can perhaps be written.
			left = nil
			for _, r := range before {
				left = append(left, Change{r, r})
			}
		}
		written := false
		for _, c := range left {
			if e := c.After.Write(ctx, h); e != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w", c.After.Name(), e))
			} else {
				written = true
			}
		}
		if failed++; written {
			failed = 0
		}
		if failed == enough || wait(ctx, pause) != nil {
			return fmt.Errorf("rolling back: %w: left behind: %s", errors.Join(err, context.Cause(ctx)), summary(left))
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// summary names the changes in one line, with what the machine has instead
// where that is short.
func summary(changes []Change) string {
	var b strings.Builder
	for i, c := range changes {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(c.After.Name())
		if now := strings.TrimSpace(c.Before.Text()); now == "" {
			b.WriteString(" (absent)")
		} else if len(now) < 200 {
			fmt.Fprintf(&b, " (is %s)", strings.ReplaceAll(now, "\n", ", "))
		}
	}
	return b.String()
}
