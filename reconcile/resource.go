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
	all, err := compare(ctx, h, want)
	return differing(all), err
}

// compare reads the live counterpart of each resource, of those too that are
// as wanted.
func compare(ctx context.Context, h *Host, want []Resource) ([]Change, error) {
	var all []Change
	for _, after := range want {
		before, err := after.Read(ctx, h)
		if errors.Is(err, fs.ErrPermission) && h.Hidden != nil {
			h.Hidden(after.Name(), err)
			before, err = hidden{after}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", after.Name(), err)
		}
		all = append(all, Change{before, after})
	}
	return all, nil
}

func differing(all []Change) (changes []Change) {
	for _, c := range all {
		if c.Before.Text() != c.After.Text() {
			changes = append(changes, c)
		}
	}
	return changes
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

// lookTime is how long the look at what came of that may take.
const lookTime = 5 * time.Second

// Converge makes the machine what is wanted and returns what it changed: plan;
// nothing to do, done; otherwise write each change in order and look again
// until nothing differs. If a write fails or ctx ends first, the machine is made
// what it was, and the error says what did not settle; then only what is left
// behind is returned, as what it was and what it is.
func Converge(ctx context.Context, h *Host, want []Resource) ([]Change, error) {
	return ConvergeOr(ctx, h, want, func(context.Context) ([]Change, error) { return nil, nil })
}

// ConvergeOr is Converge for a run that has changed something before, which undo takes back, too. It returns what is left
// of that.
func ConvergeOr(ctx context.Context, h *Host, want []Resource, undo func(context.Context) ([]Change, error)) ([]Change, error) {
	var found, done []Change
	for pause := settle; ; pause = min(2*pause, settleMost) {
		all, err := compare(ctx, h, want)
		if found == nil {
			found = all
		}
		changes := differing(all)
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
		left, failed := rollback(h, found, done)
		more, stays := undo(context.WithoutCancel(ctx))
		if left = append(left, more...); failed != nil || stays != nil || len(left) > 0 {
			return left, errors.Join(err, failed, stays)
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

// rollback makes the machine what was found on it and returns what is not so
// then. Besides what was written it looks at all that was found: a link that
// goes takes its routes and parameters along, and a daemon that reads its files
// again does more than it was asked for.
//
// Files are first, because a daemon that is prodded before its files are back
// reads the wrong ones; then what was written, the last first; then the rest in
// the order in which it is made. The guard goes when all else has gone.
func rollback(h *Host, found, done []Change) (left []Change, err error) {
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
	err = errors.Join(restore(ctx, h, append(at[Files], at[Live]...)), restore(ctx, h, at[Guard_]))
	left, unread := unlike(whole, h, slices.Concat(at[Files], at[Live], at[Guard_]))
	if err == nil {
		err = unread
	}
	if len(left) == 0 {
		err = nil // It has come to be so since.
	} else {
		behind := fmt.Errorf("left behind: %s", summary(left))
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
func restore(ctx context.Context, h *Host, before []Resource) error {
	const enough = 3 // times that nothing could be written
	for pause, failed := settle, 0; ; pause = min(2*pause, settleMost) {
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
		if failed == enough || wait(ctx, pause) != nil {
			return errors.Join(err, context.Cause(ctx))
		}
	}
}

// unlike lists the resources that the machine does not have as they are, and
// those that cannot be read. What is on its way is as good as there.
func unlike(ctx context.Context, h *Host, all []Resource) (left []Change, err error) {
	for _, r := range all {
		found, e := compare(ctx, h, []Resource{r})
		if e != nil {
			left = append(left, Change{unknown{r}, r})
			err = errors.Join(err, e)
			continue
		}
		for _, c := range differing(found) {
			if !settles(c.After, c.Before) {
				left = append(left, c)
			}
		}
	}
	return left, err
}

// unknown stands for a resource that cannot be read.
type unknown struct{ Resource }

func (unknown) Text() string { return "unknown\n" }

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
