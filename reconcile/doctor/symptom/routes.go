package symptom

import (
	"context"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
)

// A Router is an IPv6 default route.
type Router struct {
	Link   string     `json:"link"`
	Via    netip.Addr `json:"via,omitzero"`
	RA     bool       `json:"ra"`     // from a router advertisement
	Silent bool       `json:"silent"` // it has not answered neighbour solicitations
}

// routes lists the IPv6 default routes of the main table, and looks up how packets leave for the border relay, where that
// is known, and for the internet.
func (g *gatherer) routes(_ context.Context, s *Symptoms) error {
	if g.known() {
		p := kernel.PathFrom(g.h, g.line().Softwire.CE(), g.line().Softwire.BR())
		s.Relay = &p
	}
	for _, to := range facts.InternetAddresses {
		s.Internet = append(s.Internet, kernel.PathTo(g.h, to))
	}
	all, err := g.h.Net.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Table: unix.RT_TABLE_MAIN, Dst: nil},
		netlink.RT_FILTER_TABLE|netlink.RT_FILTER_DST)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Type != unix.RTN_UNICAST {
			continue
		}
		hops := r.MultiPath
		if len(hops) == 0 {
			hops = []*netlink.NexthopInfo{{LinkIndex: r.LinkIndex, Gw: r.Gw}}
		}
		for _, hop := range hops {
			router := Router{Link: g.name(hop.LinkIndex), RA: r.Protocol == unix.RTPROT_RA}
			router.Via, _ = netip.AddrFromSlice(hop.Gw)
			router.Silent = g.silent(hop.LinkIndex, hop.Gw)
			s.Routers = append(s.Routers, router)
		}
	}
	return g.heard(s)
}

// heard lists the neighbours that say they are routers, on links without an IPv6 default route: the kernel remembers who
// sent a router advertisement also where it does not accept them.
func (g *gatherer) heard(s *Symptoms) error {
	all, err := g.h.Net.NeighList(0, netlink.FAMILY_V6)
	for _, n := range all {
		r := Router{Link: g.name(n.LinkIndex), RA: true}
		r.Via, _ = netip.AddrFromSlice(n.IP)
		if n.Flags&netlink.NTF_ROUTER != 0 && n.State&netlink.NUD_FAILED == 0 && r.Via.IsLinkLocalUnicast() && !slices.ContainsFunc(s.Routers, func(o Router) bool { return o.Link == r.Link }) {
			s.Heard = append(s.Heard, r)
		}
	}
	return err
}

// silent reports whether neighbour discovery of an address has failed.
func (g *gatherer) silent(link int, address net.IP) bool {
	all, err := g.h.Net.NeighList(link, netlink.FAMILY_V6)
	return err == nil && slices.ContainsFunc(all, func(n netlink.Neigh) bool {
		return n.IP.Equal(address) && n.State&netlink.NUD_FAILED != 0
	})
}

func (g *gatherer) name(index int) string {
	for _, l := range g.f.Links {
		if l.Index == index {
			return l.Name
		}
	}
	return ""
}
