package host

import (
	"context"
	"time"
)

// The pause between two looks at a machine whose daemons are still acting on
// what was written: from settle, doubled each time, to settleMost.
const (
	Settle     = 50 * time.Millisecond
	SettleMost = time.Second
)

func Wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
