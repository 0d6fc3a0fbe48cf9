// Package reconcile makes a machine a gateway in one run: it waits for the line, puts up the guard, converges, and reverts what failed.
package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/line"
	"mape-netplan/schema"
)

// A Run is one run on a machine, with what it has changed before there was a
// gateway to converge to: a run that fails takes that back.
type Run struct {
	line.Asker
	Requested []engine.Change // that make networkd ask for a prefix
	guard     *replaced       // the guard that was put up, with the table that it replaced
}

// NewRun begins a run.
func NewRun(h *host.Host) *Run { return &Run{Asker: line.Asker{Host: h}} }

// Await fits a section to the machine as soon as the line has what it needs: at
// boot a router advertisement may come later than the run begins. waiting is
// called once with what is missing, and a delegation that the section wants is
// asked for. Meanwhile a guard stands before the tunnel: see RestoreTable. It is put
// back when something flushes it, because the run has the lock, and no watch may.
//
// Each look at the machine finds the line once.
func (r *Run) Await(ctx context.Context, c *schema.Config, waiting func(error)) (gateway.Aim, facts.Facts, error) {
	told, asked := false, 0
	var unkept error
	for {
		f, err := facts.Gather(r.Host)
		if err != nil {
			return gateway.Aim{}, f, err
		}
		f.Discovered, f.FarEnds = r.Latest(f.Discovered), r.LatestNames(f.FarEnds)
		aim := gateway.Resolve(c, f)
		asks := asked < 2 && !aim.Refused && line.AsksNow(c, aim.Line, f)
		if !asks && (!aim.Waits() || !r.Host.Live()) {
			if aim.Gateway != nil && unkept != nil {
				aim.Gateway.Warnings = append(aim.Gateway.Warnings, unkept.Error())
			}
			return aim, f, nil
		}
		if _, _, err := r.PutGuard(ctx, c); err != nil {
			return aim, f, err
		}
		if asks { // That takes seconds, in which the machine may change.
			err := r.Ask(ctx, c, aim.Line, f, false)
			if err != nil && !errors.Is(err, discovery.ErrUnkept) {
				return aim, f, err
			}
			asked, unkept = asked+1, cmp.Or(unkept, err) // Its answer may name a far end, for which the line is asked next.
			continue
		}
		if !told {
			waiting(aim.Err)
			told = true
		}
		if err := r.RequestPrefix(ctx, c, aim.Line, f); err != nil {
			return aim, f, err
		}
		if ended := host.Wait(ctx, 250*time.Millisecond); ended != nil {
			return aim, f, fmt.Errorf("%w: %w", ended, aim.Err)
		}
		asked = 0
	}
}

// Converge makes the machine what is wanted. A run that fails also takes back what it changed before.
func (r *Run) Converge(ctx context.Context, want []engine.Resource) ([]engine.Change, error) {
	changes, err := engine.ConvergeOr(ctx, r.Host, want, r.TakeBack)
	if err == nil {
		r.Requested, r.guard = nil, nil // They are part of the gateway now.
	}
	return changes, err
}

// Announce registers the CE address of a gateway that is applied with its provider, where that is due. It returns warnings
// if that fails: the service tries again, and the gateway is what it is to be.
func (r *Run) Announce(ctx context.Context, aim gateway.Aim) (warnings []string) {
	if aim.Gateway == nil || aim.Err != nil {
		return nil
	}
	known, _ := discovery.ReadAnnouncement(r.Host) // What cannot be read counts as never registered.
	now, f := time.Now(), facts.Facts{Live: r.Host.Live(), Announced: known}
	if next := r.NextRegistration(aim.Gateway.Line, f, now); next.IsZero() || next.After(now) {
		return nil
	}
	if err := r.Register(ctx, aim.Gateway.Line, f); err != nil {
		warnings = append(warnings, err.Error())
	}
	if trouble := r.LatestAnnouncement(nil).Trouble(); trouble != "" {
		warnings = append(warnings, trouble)
	}
	return warnings
}

// TakeBack reverts what a run changed before it converged: the request for a prefix
// and the guard. It returns what is left.
func (r *Run) TakeBack(ctx context.Context) ([]engine.Change, error) {
	asked, err := r.RevertRequest()
	guard, stays := r.RestoreTable(ctx)
	return slices.Concat(asked, guard), errors.Join(err, stays)
}
