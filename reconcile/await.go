package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mape-netplan/schema"
)

// Await fits a section to the machine as soon as the line has what it needs: at
// boot a router advertisement may be later than we are. waiting is told once
// what is missing, and a delegation that the section wants is asked for.
// Meanwhile a guard stands before the tunnel: see Unguard. It is put back when
// somebody flushes it, because the run has the lock, and no watch may.
func Await(ctx context.Context, h *Host, c *schema.Config, waiting func(error)) (*Gateway, Facts, error) {
	told := false
	for {
		facts, err := Gather(h)
		if err == nil && asksNow(c, facts) { // That takes seconds.
			_, _, err = PutGuard(ctx, h, c)
		}
		if err == nil {
			facts, err = h.inform(ctx, c, facts)
		}
		if err != nil {
			return nil, facts, err
		}
		g, err := Resolve(c, facts)
		if !errors.Is(err, ErrNotYet) || errors.Is(err, ErrWithdrawn) || !h.Live() {
			return g, facts, err
		}
		if _, _, err := PutGuard(ctx, h, c); err != nil {
			return nil, facts, err
		}
		if !told {
			waiting(err)
			told = true
		}
		if err := Ask(ctx, h, c, facts); err != nil {
			return nil, facts, err
		}
		if ended := wait(ctx, 250*time.Millisecond); ended != nil {
			return nil, facts, fmt.Errorf("%w: %w", ended, err)
		}
	}
}
