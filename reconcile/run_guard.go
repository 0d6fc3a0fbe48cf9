package reconcile

import (
	"context"
	"errors"
	"fmt"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/resource"
	"mape-netplan/schema"
)

// PutGuard installs the guard of the remembered line unless the table guards already,
// and reports whether it did. It needs no link, no daemon and no line. A file that
// cannot be read is no error: if nothing is remembered, Why names it.
func (r *Run) PutGuard(ctx context.Context, c *schema.Config) (g gateway.Guard, made bool, err error) {
	remembered, closed := facts.Remembered(r.Host)
	remembered.Discovered, remembered.FarEnds = r.Latest(remembered.Discovered), r.LatestNames(remembered.FarEnds)
	g = gateway.GuardOf(c, remembered)
	if errors.Is(g.Why, gateway.ErrNoMemory) && closed != nil {
		g.Why = fmt.Errorf("%w; and cannot read %w", g.Why, closed)
	}
	if g.Line != nil && g.Line.Tunnel.Remote == kernel.Discard {
		// At boot the tunnel is there before the translator.
		if err := (resource.Discard{Present: true}).Write(ctx, r.Host); err != nil {
			return g, false, err
		}
	}
	live, err := nat.ReadRules(r.Host.NFT)
	if err == nil && !g.Holds(resource.Table{Table: live}) {
		was, e := g.Table.Live(r.Host) // With what is in its sets.
		if err = e; err == nil {
			made, err = true, g.Table.Write(ctx, r.Host)
		}
		if made && r.guard == nil {
			r.guard = &replaced{was, g}
		}
	}
	if err != nil {
		return g, false, fmt.Errorf("%s: %w", g.Table.Name(), err)
	}
	return g, made, nil
}

// A replaced is the table that a guard has replaced.
type replaced struct {
	was resource.Table
	by  gateway.Guard
}

// RestoreTable restores the table that a guard of this run has replaced, or its absence.
// The guard stays if that table does not guard a tunnel that exists; then the error
// says so.
func (r *Run) RestoreTable(ctx context.Context) (left []engine.Change, err error) {
	if r.guard == nil {
		return nil, nil
	}
	was, by := r.guard.was, r.guard.by
	c := engine.Change{Before: was, After: by.Table}
	r.guard = nil
	for _, tunnel := range by.Tunnels {
		link, err := kernel.LinkByName(r.Host, tunnel)
		if (link != nil || err != nil) && !gateway.Guards(was, tunnel) {
			return []engine.Change{c}, fmt.Errorf("%s stays, so that nothing leaves by the tunnel %s untranslated; \"mape-netplan remove\" removes both", c.After.Name(), tunnel)
		}
	}
	if err := was.Write(ctx, r.Host); err != nil {
		return []engine.Change{c}, fmt.Errorf("rolling back: %s: %w", c.After.Name(), err)
	}
	return nil, nil
}

// Shut sets the tunnels down, because without a guard nothing may leave by them. It
// returns those that exist.
func Shut(h *host.Host, c *schema.Config) (shut []string, err error) {
	remembered, err := facts.Remembered(h)
	for _, tunnel := range gateway.GuardOf(c, remembered).Tunnels {
		link, e := kernel.LinkByName(h, tunnel)
		if link != nil && link.Type() == "ip6tnl" {
			if e = h.Net.LinkSetDown(link); e == nil {
				shut = append(shut, tunnel)
			}
		}
		if e != nil {
			err = errors.Join(err, fmt.Errorf("tunnel %s: %w", tunnel, e))
		}
	}
	return shut, err
}
