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

// A Tunnel is the live tunnel and what has passed it.
type Tunnel struct {
	Local      netip.Addr `json:"local"`
	Remote     netip.Addr `json:"remote"`
	EncapLimit int        `json:"encap_limit"` // -1: no such header
	MTU        int        `json:"mtu"`
	Up         bool       `json:"up"`
	Filter     string     `json:"rp_filter,omitempty"` // 1 is strict
	Total      Count      `json:"total"`               // since it was created
	// Lately is how many of these passed in the time Watched.
	Lately  Count         `json:"lately"`
	Watched time.Duration `json:"watched"`
}

// A Count is of packets in and out.
type Count struct {
	RX uint64 `json:"rx"`
	TX uint64 `json:"tx"`
}

// since is what was counted after first. A counter below it belongs to a tunnel that was created again, and counts from 0.
func (c Count) since(first Count) Count {
	if c.RX >= first.RX {
		c.RX -= first.RX
	}
	if c.TX >= first.TX {
		c.TX -= first.TX
	}
	return c
}

const (
	// EnoughSent is how many packets without an answer are evidence: fewer can be one connection to a dead host.
	EnoughSent = 4
	// answerTime is how long an answer to the last packet may take.
	answerTime = 3 * time.Second
)

// tunnel reads the tunnel and its counters; nil if there is none.
func (e *examination) tunnel() (*Tunnel, error) {
	link, err := e.h.Net.LinkByName(e.c.Tunnel)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t := &Tunnel{EncapLimit: -1, MTU: link.Attrs().MTU, Total: count(link)}
	if live, err := (resource.Tunnel{Link: e.c.Tunnel, Local: netip.IPv6Loopback()}).Live(e.h); err == nil {
		t.Local, t.Remote, t.EncapLimit, t.Up = live.Local, live.Remote, live.EncapLimit, live.Up
	}
	filter := resource.Sysctl{Key: sysctld.FilterKey(e.c.Tunnel)}
	if live, err := filter.Read(context.Background(), e.h); err == nil {
		t.Filter = strings.TrimSpace(live.Text())
	}
	return t, nil
}

// counted reads the tunnel's counters; one that has gone counts 0.
func (e *examination) counted() (Count, error) {
	link, err := e.h.Net.LinkByName(e.c.Tunnel)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return Count{}, nil
	}
	if err != nil {
		return Count{}, err
	}
	return count(link), nil
}

func count(link netlink.Link) Count {
	if s := link.Attrs().Statistics; s != nil {
		return Count{s.RxPackets, s.TxPackets}
	}
	return Count{}
}

// watch counts what passes the tunnel since it was read at begin, for as long as the options say, and up to answerTime
// longer if packets have only left.
func (e *examination) watch(ctx context.Context, t *Tunnel, begin time.Time) error {
	first := t.Total
	pause(ctx, e.o.Watch-e.o.Now().Sub(begin))
	for late := time.Now().Add(answerTime); ; pause(ctx, 250*time.Millisecond) {
		now, err := e.counted()
		if err != nil {
			return err
		}
		t.Total, t.Lately = now, now.since(first)
		if t.Lately.RX > 0 || t.Lately.TX < EnoughSent || time.Now().After(late) || ctx.Err() != nil {
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
