package facts

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/networkd"
)

// links reads the kernel's interfaces with their addresses and default routes, and
// returns the prefixes of the routes that keep a delegation.
func links(h *host.Host, f *Facts) (kept []netip.Prefix, err error) {
	all, err := kernel.WithRetry(h.Net.LinkList)
	if err != nil {
		return nil, fmt.Errorf("links: %w", err)
	}
	for _, l := range all {
		a := l.Attrs()
		f.Links = append(f.Links, kernel.Link{
			Name: a.Name, AltNames: a.AltNames, Index: a.Index, Kind: l.Type(), MTU: a.MTU,
			MAC: a.HardwareAddr.String(), Loopback: a.Flags&net.FlagLoopback != 0,
		})
	}
	if err := kernel.Addresses(h, f.Links); err != nil {
		return nil, fmt.Errorf("addresses: %w", err)
	}
	if kept, err = routes(h, f); err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	return kept, nil
}

// nowhere are the types of routes that leave by no link, in the words of "ip route".
var nowhere = map[int]string{
	unix.RTN_UNREACHABLE: "unreachable", unix.RTN_BLACKHOLE: "blackhole", unix.RTN_PROHIBIT: "prohibit", unix.RTN_THROW: "throw",
}

// routes sets the default routes of the main table at their links, and returns the
// prefixes of the routes that keep a delegation.
func routes(h *host.Host, f *Facts) (kept []netip.Prefix, err error) {
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		all, err := kernel.MainRoutes(h, family)
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			if networkd.IsDelegationRoute(r) {
				kept = append(kept, kernel.Destination(r))
			}
			switch {
			case r.Tos != 0 || kernel.Destination(r).Bits() != 0:
				continue // A route for a type of service is not for most packets.
			case r.Type != unix.RTN_UNICAST:
				if family == unix.AF_INET && r.Priority == 0 {
					f.Nowhere4 = cmp.Or(f.Nowhere4, nowhere[r.Type])
				}
				continue
			}
			for _, hop := range append(r.MultiPath, &netlink.NexthopInfo{LinkIndex: r.LinkIndex, Gw: r.Gw}) {
				i := slices.IndexFunc(f.Links, func(l kernel.Link) bool { return l.Index == hop.LinkIndex })
				if i < 0 {
					continue
				}
				f.Links[i].AddDefault(int(family), r.Priority)
				if router, ok := netip.AddrFromSlice(hop.Gw); ok && family == unix.AF_INET6 {
					f.Links[i].AddRouter6(router, r.Priority)
				}
			}
		}
	}
	return kept, nil
}

// definedLinks are the links of an image, which has no kernel to list them.
func definedLinks(files []netplan.File, networks []networkd.Network) []kernel.Link {
	links := []kernel.Link{} // not nil: Parse refuses facts without links
	add := func(l kernel.Link) {
		if !slices.ContainsFunc(links, func(other kernel.Link) bool { return other.Name == l.Name }) {
			links = append(links, l)
		}
	}
	for _, d := range netplan.Definitions(files, nil) {
		if d.Section == "tunnels" {
			continue
		}
		for _, name := range d.Interfaces {
			l := kernel.Link{Name: name, Default4: d.Default4}
			for _, p := range d.Addresses {
				l.Addresses = append(l.Addresses, kernel.Inet{Prefix: p, Origin: kernel.OriginStatic})
			}
			add(l)
		}
	}
	for _, n := range networks {
		if n.Own {
			for _, l := range n.Links() {
				add(l)
			}
		}
	}
	return links
}
