package symptom

import (
	"context"

	"mape-netplan/reconcile/netplan"
)

// netplan has its generator read the files into a directory of its own.
func (e *examination) netplan(ctx context.Context) (err error) {
	e.s.Stops, err = netplan.TryGenerate(e.h, ctx)
	return err
}
