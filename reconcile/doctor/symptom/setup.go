package symptom

import (
	"context"
	"errors"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile/advice"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/resource"
)

// A Difference is something that is not as it should be.
type Difference struct {
	Name   string `json:"name"` // the resource's
	Before string `json:"before"`
	After  string `json:"after"`
	// Detection is the state of duplicate address detection, of an address that is there.
	Detection resource.Detection `json:"detection,omitempty"`
	Error     string             `json:"error,omitempty"` // why it cannot be read
	Advice    string             `json:"advice,omitempty"`
}

// Refusal is why it cannot be read, and what to do.
func (d Difference) Refusal() string {
	if d.Advice == "" {
		return d.Error
	}
	return d.Error + "; " + d.Advice
}

// differences are what apply would change; none while the section does not fit the machine.
func (g *gatherer) differences(ctx context.Context, s *Symptoms) error {
	if g.aim.Gateway == nil {
		return nil
	}
	for _, after := range g.o.Compile(g.aim.Gateway, g.f) {
		before, err := after.Read(ctx, g.h)
		if err != nil {
			s.Differences = append(s.Differences, unread(after, err))
			continue
		}
		if before.Text() == after.Text() {
			continue
		}
		s.Differences = append(s.Differences, Difference{Name: after.Name(), Before: before.Text(), After: after.Text(), Detection: resource.DetectionIn(before)})
	}
	return nil
}

// unread is the difference of a resource that cannot be read.
func unread(r engine.Resource, err error) Difference {
	x := Difference{Name: r.Name(), After: r.Text(), Error: err.Error()}
	if a := (advice.Advice{}); errors.As(err, &a) {
		x.Error, x.Advice = a.What, a.Do
	}
	return x
}

// units reads the state of those that install writes, and why systemd could not start them.
func (g *gatherer) units(ctx context.Context, s *Symptoms) (err error) {
	s.Units, err = cloudinit.States(ctx, g.h)
	unsupported := advice.Advice{}
	switch {
	case errors.As(g.h.Unsupported(), &unsupported):
		s.NoSystemd = unsupported.What
	case !g.h.Booted():
		s.NoSystemd = "systemd does not run this machine"
	case err != nil:
		s.NoSystemd = err.Error()
	}
	if cloudinit.Installed(s.Units) {
		s.Unreadable = cloudinit.Unreadable(g.h)
	}
	return err
}
