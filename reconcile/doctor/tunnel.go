package doctor

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"

	"mape-netplan/reconcile"
)

// counters reads what has passed the tunnel; an absent one has nothing.
func (e *examination) counters() (Count, error) {
	link, err := e.h.Net.LinkByName(e.c.Tunnel)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return Count{}, nil
	}
	if err != nil {
		return Count{}, err
	}
	if e.s.Tunnel == nil {
		e.s.Tunnel = &Tunnel{EncapLimit: -1, MTU: link.Attrs().MTU}
		if live, err := (reconcile.Tunnel{Link: e.c.Tunnel, Local: netip.IPv6Loopback()}).Live(e.h); err == nil {
			e.s.Tunnel.Local, e.s.Tunnel.Remote = live.Local, live.Remote
			e.s.Tunnel.EncapLimit, e.s.Tunnel.Up = live.EncapLimit, live.Up
		}
	}
	s := link.Attrs().Statistics
	if s == nil {
		return Count{}, nil
	}
	return Count{s.RxPackets, s.TxPackets}, nil
}

const (
	// enoughSent is how many packets without any answer say something: fewer can be one connection to a dead host.
	enoughSent = 4
	// answerTime is how long an answer to what was sent last may take.
	answerTime = 3 * time.Second
)

// watch counts what passes the tunnel since begin, for as long as asked, and a little longer when only this side spoke.
func (e *examination) watch(ctx context.Context, first Count, begin time.Time) error {
	pause(ctx, e.o.Watch-e.o.Now().Sub(begin))
	t := e.s.Tunnel
	for late := time.Now().Add(answerTime); ; pause(ctx, 250*time.Millisecond) {
		now, err := e.counters()
		if err != nil {
			return err
		}
		t.Total, t.Lately = now, now.since(first)
		if t.Lately.RX > 0 || t.Lately.TX < enoughSent || time.Now().After(late) || ctx.Err() != nil {
			break
		}
	}
	t.Watched = e.o.Now().Sub(begin)
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
