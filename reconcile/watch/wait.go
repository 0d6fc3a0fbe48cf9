package watch

import (
	"context"
	"fmt"
	"time"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/host"
)

// A reason is why a wait has ended.
type reason int

const (
	look   reason = iota // something may have changed, or it is time to look again
	reload               // the section is to be read again
	stop                 // the service is to end
)

// wait returns when a pass is due: after an event, after again (0 is never), or on Reload. Meanwhile it answers the
// watchdog. An error is that events are missed from now on.
func (w *Watch) wait(ctx context.Context, again time.Duration) (reason, error) {
	begin := time.Now()
	var over, quiet, limit <-chan time.Time
	if again > 0 {
		over = time.After(again)
	}
	watchdog, stopWatchdog := ticker(w.Watchdog/3, w.Watchdog > 0)
	defer stopWatchdog()
	polled := w.polled()
	poll, stopPoll := ticker(w.pace.poll, len(polled) > 0)
	defer stopPoll()
	for {
		select {
		case <-ctx.Done():
			return stop, nil
		case err := <-w.events.Failed:
			return stop, fmt.Errorf("watching for changes: %w", err)
		case <-w.Reload:
			return reload, nil
		case <-over:
			return look, nil
		case <-watchdog:
			w.Notify("WATCHDOG=1")
		case <-poll:
			if w.drifted(ctx, polled) {
				return look, nil
			}
		case <-w.events.Changed:
			w.coalesce(ctx, begin)
			return look, nil
		case <-w.events.Unrelated:
			quiet = time.After(w.pace.unrelated)
			if limit == nil {
				limit = time.After(w.pace.unrelatedMost)
			}
		case <-quiet:
			return look, nil
		case <-limit:
			return look, nil
		case <-w.events.Table:
			_ = host.Wait(ctx, w.pace.table-time.Since(begin))
			return look, nil
		}
	}
}

// ticker is time.NewTicker, but only ticks where it is needed.
func ticker(period time.Duration, needed bool) (<-chan time.Time, func()) {
	if !needed {
		return nil, func() {}
	}
	t := time.NewTicker(period)
	return t.C, t.Stop
}

// coalesce waits until a burst of events has ended. begin is when the last pass did.
func (w *Watch) coalesce(ctx context.Context, begin time.Time) {
	if w.changed || time.Since(begin) > w.pace.settleMost {
		w.noops = 0
	}
	w.noops++
	limit, settle := time.After(w.pace.settleMost), doubled(w.pace.settle, w.pace.settleMost/2, w.noops)
	for {
		select {
		case <-ctx.Done():
			return
		case <-limit:
			return
		case <-w.events.Table:
			_ = host.Wait(ctx, w.pace.table-time.Since(begin))
			return
		case <-w.events.Changed:
		case <-time.After(settle):
			return
		}
	}
}

// polled lists the resources that the kernel sends no events about.
func (w *Watch) polled() (all []engine.Resource) {
	for _, r := range w.want {
		if r.Traits().Polled {
			all = append(all, r)
		}
	}
	return all
}

func (w *Watch) drifted(ctx context.Context, all []engine.Resource) bool {
	for _, r := range all {
		if live, err := r.Read(ctx, w.Host); err != nil || live.Text() != r.Text() {
			return true
		}
	}
	return false
}

// unrelated lists, by index, the links whose addresses the gateway does not depend on: no file configures them, no
// default route leaves by them, and neither the section nor anything applied names them. A container engine's bridge is
// one; the loopback interface is another, on which a routing daemon may have thousands.
func (w *Watch) unrelated(f facts.Facts) map[uint32]bool {
	named := map[string]bool{}
	if c := w.section; c != nil {
		named[c.WAN], named[c.Tunnel] = true, true
		for _, name := range c.LAN {
			named[name] = true
		}
	}
	for _, r := range w.want {
		named[r.Traits().Link] = true
	}
	all := map[uint32]bool{}
	for _, l := range f.Links {
		_, defined := f.DefinitionOf(l.Name)
		if !defined && l.NetworkFile == "" && l.Default4 == nil && l.Default6 == nil && !named[l.Name] {
			all[uint32(l.Index)] = true
		}
	}
	return all
}
