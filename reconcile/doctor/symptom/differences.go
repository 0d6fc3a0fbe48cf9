package symptom

import (
	"context"
	"strings"

	"mape-netplan/reconcile"
)

// A Difference is something that is not as it should be.
type Difference struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
	Error  string `json:"error,omitempty"` // it cannot be looked at
}

// differences are what apply would change.
func (e *examination) differences(ctx context.Context) error {
	g, err := reconcile.Resolve(e.c, e.f)
	if err != nil {
		return nil // The judges have the section and the facts, too.
	}
	for _, r := range reconcile.Compile(g, e.f) {
		changes, err := reconcile.Plan(ctx, e.h, []reconcile.Resource{r})
		if err != nil {
			err := strings.TrimPrefix(err.Error(), r.Name()+": ")
			e.s.Differences = append(e.s.Differences, Difference{Name: r.Name(), After: r.Text(), Error: err})
		}
		for _, c := range changes {
			e.s.Differences = append(e.s.Differences, Difference{Name: r.Name(), Before: c.Before.Text(), After: c.After.Text()})
		}
	}
	return nil
}
