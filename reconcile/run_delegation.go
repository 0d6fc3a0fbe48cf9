package reconcile

import (
	"context"
	"errors"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/schema"
)

// RequestPrefix makes networkd request the prefix that the section wants, if it does
// not yet; RevertRequest reverts that.
func (r *Run) RequestPrefix(ctx context.Context, c *schema.Config, l line.Line, f facts.Facts) error {
	want, err := gateway.PrefixRequest(c, l, f)
	if errors.Is(err, line.ErrNotYet) {
		return nil // The WAN is not known yet.
	}
	if err != nil {
		return err
	}
	changes, err := engine.Plan(ctx, r.Host, want)
	if err != nil {
		return err
	}
	if len(changes) > 0 && len(f.Delegations) == 0 {
		// networkd may have obtained one since the machine was looked at. Then
		// the next look decides by which DUID it is requested.
		if delegated, err := isDelegated(r.Host, l); delegated || err != nil {
			return err
		}
	}
	r.Requested, err = engine.Write(ctx, r.Host, changes, r.Requested)
	return err
}

// isDelegated reports whether the WAN has a delegation now.
func isDelegated(h *host.Host, l line.Line) (bool, error) {
	if h.Bus == nil {
		return false, nil
	}
	return networkd.IsDelegated(h, l.WAN.Index)
}

// RevertRequest reverts what RequestPrefix changed in this run, and returns what is left.
func (r *Run) RevertRequest() (left []engine.Change, err error) {
	requested := r.Requested
	r.Requested = nil
	if len(requested) == 0 {
		return nil, nil
	}
	return engine.Rollback(r.Host, nil, requested)
}
