package symptom

import (
	"context"
	"errors"

	"mape-netplan/reconcile/advice"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/resource"
)

// A Difference is something that is not as it should be.
type Difference struct {
	Name   string `json:"name"` // the resource's
	Before string `json:"before"`
	After  string `json:"after"`
	// Detection is how far an address is that is there already.
	Detection resource.Detection `json:"detection,omitempty"`
	Error     string             `json:"error,omitempty"` // it cannot be looked at
	Advice    string             `json:"advice,omitempty"`
}

// Refusal is why it cannot be looked at, and what to do.
func (d Difference) Refusal() string {
	if d.Advice == "" {
		return d.Error
	}
	return d.Error + "; " + d.Advice
}

// differences are what apply would change.
func (e *examination) differences(ctx context.Context) error {
	if e.aim.Gateway == nil {
		return nil // The judges know why.
	}
	for _, after := range gateway.Compile(e.aim.Gateway, e.f) {
		before, err := after.Read(ctx, e.h)
		if err != nil {
			e.s.Differences = append(e.s.Differences, unseen(after, err))
			continue
		}
		if before.Text() == after.Text() {
			continue
		}
		x := Difference{Name: after.Name(), Before: before.Text(), After: after.Text()}
		if a, ok := before.(interface{ Detecting() resource.Detection }); ok {
			x.Detection = a.Detecting()
		}
		e.s.Differences = append(e.s.Differences, x)
	}
	return nil
}

// unseen is a resource that cannot be read.
func unseen(r engine.Resource, err error) Difference {
	x := Difference{Name: r.Name(), After: r.Text(), Error: err.Error()}
	if a := (advice.Advice{}); errors.As(err, &a) {
		x.Error, x.Advice = a.What, a.Do
	}
	return x
}
