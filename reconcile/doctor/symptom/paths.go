package symptom

import (
	"context"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
)

// paths looks up how packets leave for the border relay and for the internet.
func (e *examination) paths(context.Context) error {
	if e.line != nil {
		relay := kernel.PathTo(e.h, e.line.Softwire.BR)
		e.s.Relay = &relay
	}
	for _, to := range facts.Faraway {
		e.s.Internet = append(e.s.Internet, kernel.PathTo(e.h, to))
	}
	return nil
}
