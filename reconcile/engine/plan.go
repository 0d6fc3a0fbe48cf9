package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"mape-netplan/reconcile/host"
)

// A Change is a difference between the machine and what is wanted.
type Change struct{ Before, After Resource }

// Plan returns the changes that would make the machine what is wanted, in the order in which they would be made.
func Plan(ctx context.Context, h *host.Host, want []Resource) ([]Change, error) {
	all, err := compare(ctx, h, want, nil)
	return differing(all), err
}

// PlanWithout is Plan for a caller who may not read everything: what is hidden from it counts as absent, and hidden is
// called for each.
func PlanWithout(ctx context.Context, h *host.Host, want []Resource, hidden func(name string, err error)) ([]Change, error) {
	all, err := compare(ctx, h, want, hidden)
	return differing(all), err
}

// FromNothing is the plan for a machine on which everything that is wanted is absent.
func FromNothing(want []Resource) []Change {
	var changes []Change
	for _, r := range want {
		if r.Text() != "" {
			changes = append(changes, Change{absent{r}, r})
		}
	}
	return changes
}

// absent is a resource that is not there, or that the caller may not read.
type absent struct{ Resource }

func (absent) Text() string { return "" }

// compare reads the live counterpart of every resource, whether it differs or not. What may not be read is an error
// where hidden is nil.
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

// Rendering is the text of a whole list.
func Rendering(all []Resource) string {
	var b strings.Builder
	for _, r := range all {
		if text := r.Text(); text != "" {
			fmt.Fprintf(&b, "%s\n%s\n", r.Name(), text)
		}
	}
	return b.String()
}

// Summary names the changes in one line, with what the machine has instead where that is short.
func Summary(changes []Change) string {
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
