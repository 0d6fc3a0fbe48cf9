package symptom

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/sysctld"
)

// A Tunnel is the live one and what has passed it.
type Tunnel struct {
	Local      netip.Addr `json:"local"`
	Remote     netip.Addr `json:"remote"`
	EncapLimit int        `json:"encap_limit"` // -1 is none
	MTU        int        `json:"mtu"`
	Up         bool       `json:"up"`
	Filter     string     `json:"rp_filter,omitempty"` // 1 is strict
	Total      Count      `json:"total"`               // since it was made
	// Lately is how many of these passed while it was watched, for Watched in nanoseconds.
	Lately  Count         `json:"lately"`
	Watched time.Duration `json:"watched"`
}

// A Count is of packets.
type Count struct {
	RX uint64 `json:"rx"`
	TX uint64 `json:"tx"`
}

// since is what came after first. A counter that is below it began anew, with a
// tunnel that was made again.
func (c Count) since(first Count) Count {
	if c.RX >= first.RX {
		c.RX -= first.RX
	}
	if c.TX >= first.TX {
		c.TX -= first.TX
	}
	return c
}

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
		if live, err := (resource.Tunnel{Link: e.c.Tunnel, Local: netip.IPv6Loopback()}).Live(e.h); err == nil {
			e.s.Tunnel.Local, e.s.Tunnel.Remote = live.Local, live.Remote
			e.s.Tunnel.EncapLimit, e.s.Tunnel.Up = live.EncapLimit, live.Up
		}
		filter := resource.Sysctl{Key: sysctld.FilterKey(e.c.Tunnel)}
		if live, err := filter.Read(context.Background(), e.h); err == nil {
			e.s.Tunnel.Filter = strings.TrimSpace(live.Text())
		}
	}
	s := link.Attrs().Statistics
	if s == nil {
		return Count{}, nil
	}
	return Count{s.RxPackets, s.TxPackets}, nil
}

const (
	// EnoughSent is how many packets without any answer say something: fewer can be one connection to a dead host.
	EnoughSent = 4
	// answerTime is how long an answer to what was sent last may take.
	answerTime = 3 * time.Second
)

// tunnel looks at the tunnel and begins to count.
func (e *examination) tunnel(context.Context) (err error) {
	e.first, err = e.counters()
	e.begin = e.o.Now()
	return err
}

// watch counts what passes the tunnel since it was looked at first, for as long as asked, and a little longer when only
// this side spoke.
func (e *examination) watch(ctx context.Context) error {
	if e.s.Tunnel == nil {
		return nil
	}
	pause(ctx, e.o.Watch-e.o.Now().Sub(e.begin))
	t := e.s.Tunnel
	for late := time.Now().Add(answerTime); ; pause(ctx, 250*time.Millisecond) {
		now, err := e.counters()
		if err != nil {
			return err
		}
		t.Total, t.Lately = now, now.since(e.first)
		if t.Lately.RX > 0 || t.Lately.TX < EnoughSent || time.Now().After(late) || ctx.Err() != nil {
			break
		}
	}
	t.Watched = e.o.Now().Sub(e.begin)
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
