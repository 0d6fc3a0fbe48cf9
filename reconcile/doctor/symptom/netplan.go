package symptom

import "context"

// netplan has its generator read the files into a directory of its own.
func (e *examination) netplan(ctx context.Context) (err error) {
	e.s.Stops, err = e.h.TryGenerate(ctx)
	return err
}
