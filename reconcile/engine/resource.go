// Package engine plans, converges and rolls back resources, of which it knows no kind.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"mape-netplan/reconcile/host"
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
	Read(context.Context, *host.Host) (Resource, error)
	// Write makes the live state this one.
	Write(context.Context, *host.Host) error
	// Traits are what the engine and the watch need to know of it besides its text.
	Traits() Traits
}

// compare reads the live counterpart of each resource, of those too that are
// as wanted. One that may not be read is an error where hidden is nil.
func compare(ctx context.Context, h *host.Host, want []Resource, hidden func(name string, err error)) ([]Change, error) {
	var all []Change
	for _, after := range want {
		before, err := after.Read(ctx, h)
		if errors.Is(err, fs.ErrPermission) && hidden != nil {
			hidden(after.Name(), err)
			before, err = absent{after}, nil
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

// lookTime is how long the look at what came of that may take.
const lookTime = 5 * time.Second

// ConvergeOr is Converge for a run that has changed something before, which undo takes back, too. It returns what is left
// of that.
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

// unlike lists the resources that the machine does not have as they are, and
// those that cannot be read. What is on its way is as good as there.
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

// unknown stands for a resource that cannot be read.
type unknown struct{ Resource }

func (unknown) Text() string { return "unknown\n" }
