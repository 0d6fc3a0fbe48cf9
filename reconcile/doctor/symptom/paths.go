package symptom

import (
	"context"

	"mape-netplan/reconcile"
)

// paths looks up how packets leave for the border relay and for the internet.
func (e *examination) paths(context.Context) error {
	if e.line != nil {
		relay := reconcile.PathTo(e.h, e.line.Softwire.BR)
		e.s.Relay = &relay
	}
	for _, to := range reconcile.Faraway {
		e.s.Internet = append(e.s.Internet, reconcile.PathTo(e.h, to))
	}
	return nil
}
