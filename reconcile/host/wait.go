package host

import (
	"context"
	"time"
)

// The pause between two looks at a machine whose daemons are still acting on
// what was written: from Settle, doubled each time, to SettleMost.
const (
	Settle     = 50 * time.Millisecond
	SettleMost = time.Second
)

// Wait pauses for d, or returns why ctx ended first.
func Wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
