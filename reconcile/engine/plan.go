package engine

import (
	"context"
	"fmt"
	"strings"

	"mape-netplan/reconcile/host"
)

// A Change is a difference between the machine and what is wanted.
type Change struct{ Before, After Resource }

// Plan returns the changes that would make the machine what is wanted, in the
// order in which they would be made.
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

// absent is a resource that is not there, or that the caller may not read.
type absent struct{ Resource }

func (absent) Text() string { return "" }

// FromNothing is the plan for a machine that has none of what is wanted.
func FromNothing(want []Resource) []Change {
	var changes []Change
	for _, r := range want {
		if r.Text() != "" {
			changes = append(changes, Change{absent{r}, r})
		}
	}
	return changes
}

func Rendering(all []Resource) string {
	var b strings.Builder
	for _, r := range all {
		if text := r.Text(); text != "" {
			fmt.Fprintf(&b, "%s\n%s\n", r.Name(), text)
		}
	}
	return b.String()
}
