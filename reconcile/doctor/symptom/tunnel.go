package symptom

import (
	"context"
	"errors"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
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

// tunnel reads the tunnel and its counters or, if there is none, whether the kernel could make one.
func (g *gatherer) tunnel(ctx context.Context, s *Symptoms) error {
	g.begin = g.o.Now()
	link, err := g.h.Net.LinkByName(g.c.Tunnel)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		s.Module = module(g.h)
		return nil
	}
	if err != nil {
		return err
	}
	t := &Tunnel{EncapLimit: -1, MTU: link.Attrs().MTU, Total: count(link)}
	if live, err := (resource.Tunnel{Tunnel: kernel.Tunnel{Link: g.c.Tunnel, Local: netip.IPv6Loopback()}}).Live(g.h); err == nil {
		t.Local, t.Remote, t.EncapLimit, t.Up = live.Local, live.Remote, live.EncapLimit, live.Up
	}
	filter := resource.Sysctl{Key: sysctld.RPFilterKey(g.c.Tunnel)}
	if live, err := filter.Read(ctx, g.h); err == nil {
		t.Filter = strings.TrimSpace(live.Text())
	}
	s.Tunnel = t
	return nil
}

// counted reads the tunnel's counters; one that has gone counts 0.
func (g *gatherer) counted() (Count, error) {
	link, err := g.h.Net.LinkByName(g.c.Tunnel)
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

// watch counts what passes the tunnel since it was read, for as long as the options say, and up to answerTime longer if
// packets have only left.
func (g *gatherer) watch(ctx context.Context, s *Symptoms) error {
	t := s.Tunnel
	if t == nil {
		return nil
	}
	first := t.Total
	pause(ctx, g.o.Watch-g.o.Now().Sub(g.begin))
	for late := time.Now().Add(answerTime); ; pause(ctx, 250*time.Millisecond) {
		now, err := g.counted()
		if err != nil {
			return err
		}
		t.Total, t.Lately = now, now.since(first)
		if t.Lately.RX > 0 || t.Lately.TX < EnoughSent || time.Now().After(late) || ctx.Err() != nil {
			break
		}
	}
	t.Watched = g.o.Now().Sub(g.begin)
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

// TunnelModule is the kernel module that makes tunnels.
const TunnelModule = "ip6_tunnel"

// module is "yes" if the kernel has or can load it, "no" if not, and "" if that cannot be told, as in a container, which
// has no module files and may use the host's. It does not load it.
func module(h *host.Host) string {
	if _, err := h.Root.Lstat("sys/module/" + TunnelModule); err == nil {
		return "yes"
	}
	if h.Sys == nil {
		return ""
	}
	release, err := h.Sys.ReadFile("kernel/osrelease")
	if err != nil {
		return ""
	}
	has := ""
	// "kernel/net/ipv6/ip6_tunnel.ko.xz: kernel/net/ipv6/tunnel6.ko.xz"; without any dependency file nothing can be loaded.
	for _, list := range []string{"modules.builtin", "modules.dep"} {
		data, err := h.ReadFile(path.Join("/lib/modules", strings.TrimSpace(string(release)), list))
		if err != nil {
			continue
		}
		if strings.Contains(string(data), "/"+TunnelModule+".ko") {
			return "yes"
		}
		if list == "modules.dep" {
			has = "no"
		}
	}
	return has
}
