package symptom

import (
	"context"

	"mape-netplan/reconcile/ports"
)

// Ports is who uses the port set.
type Ports struct {
	ports.Usage
	Busiest []ports.BusyDestination `json:"busiest"`
}

// ports looks at who uses the port set.
func (e *examination) ports(context.Context) error {
	if e.line == nil {
		return nil
	}
	u, err := ports.Look(e.h, *e.line, e.c.Forwards)
	if err != nil {
		return err
	}
	e.s.Ports = &Ports{u, u.Busiest(mostShown)}
	return nil
}

// mostShown is how many destinations and hosts are named.
const mostShown = 5
