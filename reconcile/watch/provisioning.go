package watch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/line"
	"mape-netplan/schema"
)

// A provisioning asks the line for its rules (HB46PP) and for the address of its far end, and registers the CE address with
// the provider, beside the passes: on a line that is down it takes half a minute, in which the machine is repaired and the
// watchdog answered.
type provisioning struct {
	line.Asker
	*journal
	*timings
	wake func() // called at the end of a request

	running sync.WaitGroup
	result  chan error // of the request that runs, or has ended since the last pass; nil when there is none
	retry   retry      // of one that failed on this machine
	silence silence    // of the far end
}

// mostAsleep bounds a wait for a time of the wall clock: the clock may be set meanwhile.
const mostAsleep = time.Hour

// finish takes the result of a request that has ended. The look comes after it, and reads what the line said.
func (p *provisioning) finish() {
	select {
	case err := <-p.result:
		p.result = nil
		if err == nil || errors.Is(err, discovery.ErrUnkept) {
			p.retry = retry{}
			p.forget("provisioning")
			if err != nil {
				p.problem("provisioning", Warning, err.Error())
			}
			return
		}
		p.retry.failed(p.timings, time.Now())
		p.problem("provisioning", Failure, fmt.Sprintf("cannot ask the line: %v", err))
	default:
	}
}

// request starts a request where it is due, and returns after how long it will be; 0 is never.
func (p *provisioning) request(ctx context.Context, c *schema.Config, l line.Line, f facts.Facts) (again time.Duration) {
	if p.result != nil {
		return 0
	}
	p.logOutage(f.Discovered)
	now := time.Now()
	next := line.NextQuestion(c, l, f, now)
	if next.IsZero() {
		return 0
	}
	silent := l.FarEnd != "" && p.silent(c.Tunnel, now)
	if wait := max(next.Sub(now), p.retry.at.Sub(now)); wait > 0 && !silent {
		if l.FarEnd != "" {
			again = p.timings.silent
		}
		return soonest(again, min(wait, mostAsleep))
	}
	p.start(func() error { return p.Ask(ctx, c, l, f, silent) })
	return 0
}

// register registers the CE address of a line that was applied where that is due, and returns after how long it will be.
func (p *provisioning) register(ctx context.Context, l line.Line, f facts.Facts) (again time.Duration) {
	now := time.Now()
	next := p.NextRegistration(l, f, now)
	if p.result != nil || next.IsZero() {
		return 0
	}
	if wait := max(next.Sub(now), p.retry.at.Sub(now)); wait > 0 {
		return min(wait, mostAsleep)
	}
	p.start(func() error { return p.Register(ctx, l, f) })
	return 0
}

// start does one thing beside the passes, the next of which comes when it is done.
func (p *provisioning) start(do func() error) {
	result := make(chan error, 1)
	p.result = result
	p.running.Go(func() {
		result <- do()
		p.wake()
	})
}

// logOutage logs that the line's server does not answer any more. The rules that it gave last stay in force: the tunnel
// does not need the server.
func (p *provisioning) logOutage(d *discovery.Discovery) {
	if !d.Offers() || d.Withdrawn || d.Problem == "" {
		p.ended("rules", "the line provides its rules again")
		return
	}
	p.problem("rules", Warning, fmt.Sprintf("asking the line for its rules (%s) failed: %s; the rules that it gave before stay in force", discovery.Protocol(d.Source), d.Problem))
}

// silent reports whether the far end does not answer.
func (p *provisioning) silent(tunnel string, now time.Time) bool {
	link, err := p.Net.LinkByName(tunnel)
	if err != nil || link.Attrs().Statistics == nil {
		return false
	}
	n := link.Attrs().Statistics
	return p.silence.lasts(n.RxPackets, n.TxPackets, now, p.timings.silent)
}
