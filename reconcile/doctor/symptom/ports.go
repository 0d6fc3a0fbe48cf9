package symptom

import "mape-netplan/reconcile/ports"

// Ports is how the port set is used.
type Ports struct {
	ports.Usage
	Busiest []ports.BusyDestination `json:"busiest"`
}

// mostShown is how many of the busiest destinations are named.
const mostShown = 5

// ports counts the connections by port; nil while the line has no port set.
func (e *examination) ports() (*Ports, error) {
	if !e.known() {
		return nil, nil
	}
	l, on, _ := e.aim.Current(e.c)
	u, err := ports.Look(e.h, l, on)
	if err != nil {
		return nil, err
	}
	return &Ports{u, u.Busiest(mostShown)}, nil
}
