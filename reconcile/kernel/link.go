// Package kernel reads and changes what the kernel has: links, addresses, routes, filters and tracked connections.
package kernel

import (
	"errors"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"mape-netplan/reconcile/host"
)

// A Link is a network interface.
type Link struct {
	Name      string   `json:"name"`
	AltNames  []string `json:"alt_names,omitempty"`
	Index     int      `json:"index,omitempty"`
	Kind      string   `json:"kind,omitempty"` // as netlink.Link's Type says: device, bridge, ip6tnl, tuntap
	MAC       string   `json:"mac,omitempty"`
	MTU       int      `json:"mtu,omitempty"` // bytes; 0: not known
	Loopback  bool     `json:"loopback,omitempty"`
	Addresses []Inet   `json:"addresses,omitempty"`
	// Default4 and Default6 are the lowest metrics of the default routes through
	// this link, in the main table and for any type of service; nil: no such route.
	Default4 *int `json:"default4,omitempty"`
	Default6 *int `json:"default6,omitempty"`
	// Routers6 are the routers that IPv6 default routes have on this link, with the lowest metric of each one's.
	Routers6 map[netip.Addr]int `json:"routers6,omitempty"`
	// NetworkFile is the .network file that networkd configures it by.
	NetworkFile string `json:"network_file,omitempty"`
	// DUIDType is the type of the DUID that networkd's DHCPv6 client uses here, in
	// networkd's words, such as "DUID-LL" or "DUID-EN/Vendor"; "": not known.
	DUIDType string `json:"duid_type,omitempty"`
}

// Matches reports whether one of the link's names matches a list of shell patterns,
// separated by blanks, as networkd reads it in "Name=": an exclamation mark in front
// inverts the list.
func (l Link) Matches(patterns string) bool {
	patterns, inverted := strings.CutPrefix(patterns, "!")
	for _, name := range append([]string{l.Name}, l.AltNames...) {
		match := slices.ContainsFunc(strings.Fields(patterns), func(pattern string) bool {
			ok, _ := path.Match(strings.ReplaceAll(pattern, "[!", "[^"), name)
			return ok
		})
		if match != inverted {
			return true
		}
	}
	return false
}

// IsPattern reports whether a list for Matches is more than one name.
func IsPattern(names string) bool { return strings.ContainsAny(names, "*?[]! ") }

// AddDefault takes a default route of a metric through the link into account.
func (l *Link) AddDefault(family, metric int) {
	lowest := &l.Default4
	if family == netlink.FAMILY_V6 {
		lowest = &l.Default6
	}
	if *lowest == nil || **lowest > metric {
		*lowest = &metric
	}
}

// AddRouter6 takes an IPv6 default route by a router on the link into account.
func (l *Link) AddRouter6(router netip.Addr, metric int) {
	if l.Routers6 == nil {
		l.Routers6 = map[netip.Addr]int{}
	}
	if lowest, known := l.Routers6[router]; !known || metric < lowest {
		l.Routers6[router] = metric
	}
}

// IfName is an interface name as nf_tables compares it: padded with zeros to IFNAMSIZ bytes.
func IfName(name string) []byte {
	b := make([]byte, 16)
	copy(b, name)
	return b
}

// LinkByName returns the interface of a name; nil, and no error, where it does not exist.
func LinkByName(h *host.Host, name string) (netlink.Link, error) {
	link, err := h.Net.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil, nil
	}
	return link, err
}

// IPNet is a prefix as package netlink takes it.
func IPNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Inet4 lists the IPv4 addresses of the link.
func (l Link) Inet4() []netip.Prefix {
	var all []netip.Prefix
	for _, a := range l.Addresses {
		if a.Prefix.Addr().Is4() {
			all = append(all, a.Prefix)
		}
	}
	return all
}

// LastAddress is the last address of a prefix.
func LastAddress(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
