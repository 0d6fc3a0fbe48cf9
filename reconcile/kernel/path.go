package kernel

import (
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/host"
)

// A Path is how the kernel would send a packet of this machine. Asking sends nothing.
type Path struct {
	To   netip.Addr `json:"to"`
	Link string     `json:"link,omitempty"`
	Via  netip.Addr `json:"via,omitzero"`
	MTU  int        `json:"mtu,omitempty"` // learnt by path MTU discovery; 0: none
	// Route is the destination of the matching route, and Table the number
	// of the table that has it; invalid and 0: not known.
	Route netip.Prefix `json:"route,omitzero"`
	Table int          `json:"table,omitempty"`
	Error string       `json:"error,omitempty"` // why there is no path
}

// PathTo asks the kernel for the path to an address.
func PathTo(h *host.Host, to netip.Addr) Path { return PathFrom(h, netip.Addr{}, to) }

// PathFrom is PathTo for packets of a source: of default routes of one metric the kernel takes one by both addresses.
func PathFrom(h *host.Host, from, to netip.Addr) Path {
	p := Path{To: to}
	routes, err := h.Net.RouteGetWithOptions(to.AsSlice(), &netlink.RouteGetOptions{SrcAddr: from.AsSlice()})
	if err == nil && len(routes) == 0 {
		err = os.ErrNotExist
	}
	if err != nil {
		p.Error = err.Error()
		return p
	}
	r := routes[0]
	p.MTU, p.Link = r.MTU, fmt.Sprintf("interface %d", r.LinkIndex)
	if link, err := h.Net.LinkByIndex(r.LinkIndex); err == nil {
		p.Link = link.Attrs().Name
	}
	p.Via, _ = netip.AddrFromSlice(r.Gw)
	// That answer does not name the route that matched.
	if routes, err = h.Net.RouteGetWithOptions(to.AsSlice(), &netlink.RouteGetOptions{SrcAddr: from.AsSlice(), FIBMatch: true}); err == nil && len(routes) > 0 && routes[0].Dst != nil {
		ip, _ := netip.AddrFromSlice(routes[0].Dst.IP)
		bits, _ := routes[0].Dst.Mask.Size()
		p.Route, p.Table = netip.PrefixFrom(ip.Unmap(), bits), routes[0].Table
	}
	return p
}

// internetBits is the longest prefix of a route that stands for the internet rather than for a network of it. VPNs that leave
// out the private addresses have routes as long as that, and the largest networks of companies are a /8.
const internetBits = 7

// Strays reports whether packets to the internet leave by another way than the tunnel.
func (p Path) Strays(tunnel string) bool {
	return p.Error != "" || p.Link != tunnel && p.Route.Bits() <= internetBits
}

// Where describes what happens to packets that stray.
func (p Path) Where(tunnel string) string {
	if p.Error != "" {
		return fmt.Sprintf("are dropped (%s)", p.Error)
	}
	return fmt.Sprintf("leave by %s and not by %s", p.Link, tunnel)
}

// Advice is the likely cause of packets that stray, and what to do about it.
func (p Path) Advice() string {
	switch {
	case p.Error != "":
		return `look at "ip -4 rule" and "ip -4 route show table all", and remove the rule or the route that is unreachable, blackhole, prohibit or throw`
	case p.Table != 0 && p.Table != unix.RT_TABLE_MAIN:
		return fmt.Sprintf(`a rule (see "ip -4 rule") has table %d looked at before the main one, and a route to %s is in it: remove one of them where it is configured (wg-quick: Table = off)`, p.Table, p.Route)
	case p.Route.Bits() > 0:
		return fmt.Sprintf(`the route to %s (see "ip -4 route") goes before every default route: remove it where it is configured (OpenVPN: pull-filter ignore redirect-gateway)`, p.Route)
	}
	return `another default route (see "ip -4 route") goes before the tunnel's: remove it, or give it a metric of 100 or more`
}
