package resource

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
)

// Beside is what others have on the tunnel. It goes with the link, so a rollback that makes the link again needs it.
type Beside struct {
	Link      string
	Addresses []netlink.Addr
	Routes    []netlink.Route
	Control   string // queueing disciplines and filters, which only those who made them can bring back
}

func (b Beside) Name() string { return "what others have on " + b.Link }

func (b Beside) Traits() engine.Traits { return engine.Traits{Link: b.Link} }

func (b Beside) Text() string {
	var text strings.Builder
	for _, a := range b.Addresses {
		fmt.Fprintf(&text, "address %s\n", a.IPNet)
	}
	for _, r := range b.Routes {
		fmt.Fprintf(&text, "route %s table %d metric %d\n", kernel.Destination(r), r.Table, r.Priority)
	}
	return text.String() + b.Control
}

func (b Beside) Read(_ context.Context, h *host.Host) (engine.Resource, error) { return b.live(h) }

func (b Beside) live(h *host.Host) (Beside, error) {
	live := Beside{Link: b.Link}
	link, err := kernel.LinkByName(h, b.Link)
	if link == nil {
		return live, err
	}
	addresses, err := h.Net.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return live, err
	}
	for _, a := range addresses {
		if !a.IP.IsLinkLocalUnicast() {
			live.Addresses = append(live.Addresses, a)
		}
	}
	routes, err := h.Net.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{LinkIndex: link.Attrs().Index}, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
	if err != nil {
		return live, err
	}
	for _, r := range routes {
		ours := r.Family == netlink.FAMILY_V4 && r.Table == unix.RT_TABLE_MAIN && kernel.Destination(r).Bits() == 0
		if !ours && r.Protocol != unix.RTPROT_KERNEL {
			live.Routes = append(live.Routes, r)
		}
	}
	live.Control, err = control(h, link)
	return live, err
}

// control names the queueing disciplines and filters of a link but ours.
func control(h *host.Host, link netlink.Link) (text string, err error) {
	disciplines, err := h.Net.QdiscList(link)
	if kernel.Lacking(err) {
		return "", nil // a kernel without traffic control
	}
	for _, q := range disciplines {
		if kind := q.Type(); kind != "clsact" && kind != "noqueue" {
			text += "qdisc " + kind + "\n"
		}
	}
	for _, parent := range []uint32{netlink.HANDLE_MIN_EGRESS, netlink.HANDLE_MIN_INGRESS} {
		filters, _ := h.Net.FilterList(link, parent) // It fails where there is no clsact.
		for _, f := range filters {
			if p := f.Attrs().Priority; p != kernel.EgressHandle && p != kernel.TranslatorHandle {
				text += fmt.Sprintf("filter %s pref %d\n", f.Type(), p)
			}
		}
	}
	return text, err
}

// Write adds the addresses and routes that are missing.
func (b Beside) Write(_ context.Context, h *host.Host) error {
	link, err := linkOf(h, b.Link, b.Text() != "")
	if link == nil {
		return err
	}
	for _, a := range b.Addresses {
		if a.Broadcast == nil {
			a.Broadcast = net.IPv4zero // The library would make one up.
		}
		err = errors.Join(err, h.Net.AddrReplace(link, &netlink.Addr{IPNet: a.IPNet, Peer: a.Peer, Broadcast: a.Broadcast}))
	}
	for _, r := range b.Routes {
		r.LinkIndex = link.Attrs().Index
		r.Flags &= unix.RTNH_F_ONLINK
		err = errors.Join(err, h.Net.RouteReplace(&r))
	}
	live, e := b.live(h)
	if err = errors.Join(err, e); err == nil && live.Control != b.Control {
		err = errors.New("filters went with the link; restart the program that made them")
	}
	return err
}
