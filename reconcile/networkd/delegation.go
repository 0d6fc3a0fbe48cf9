package networkd

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
)

// A Delegation is a prefix that DHCPv6 has delegated to the machine (RFC 8415,
// IA_PD), or a part of one.
type Delegation struct {
	Prefix netip.Prefix `json:"prefix"`
	// Link is the one that it was delegated on; "" if unknown.
	Link string `json:"link,omitempty"`
	// Source is where it was found: "route", "lease" or "assigned".
	Source string `json:"source"`
}

const (
	// SourceRoute is the unreachable route that networkd adds for every
	// delegation shorter than /64, so that packets to an unassigned part do not
	// go back to the provider.
	SourceRoute = "route"
	// SourceLease is networkd's DHCPv6 lease. systemd 252 does not show it.
	SourceLease = "lease"
	// sourceAssigned is a part of a delegation that networkd has assigned to
	// another link.
	sourceAssigned = "assigned"
)

// IsDelegationRoute reports whether a route is one that networkd adds for a
// delegation: "unreachable … dev lo proto dhcp".
func IsDelegationRoute(r netlink.Route) bool {
	return r.Family == unix.AF_INET6 && r.Type == unix.RTN_UNREACHABLE && r.Protocol == unix.RTPROT_DHCP &&
		kernel.Destination(r).Bits() > 0
}

// Delegations finds the prefixes that DHCPv6 has delegated: routed, the
// destinations of delegation routes, or, if there are none, those that networkd
// describes for the links on which its DHCPv6 client runs. It is queried only
// then, because its answer lists every route of the link: a thousand take a
// second on a slow machine. Addresses of links out of a delegation get the
// origin [kernel.OriginPD].
func Delegations(h *host.Host, links []kernel.Link, routed []netip.Prefix) []Delegation {
	var clients []kernel.Link
	if h.Bus != nil {
		for _, l := range links {
			if _, runs := LinkState(h, l.Index, "DHCP6_CLIENT_IAID"); runs {
				clients = append(clients, l)
			}
		}
	}
	client := "" // unknown if there are several
	if len(clients) == 1 {
		client = clients[0].Name
	}
	var all []Delegation
	for _, p := range routed {
		all = append(all, Delegation{p, client, SourceRoute})
	}
	if len(all) == 0 {
		for _, l := range clients {
			for _, p := range describe(h, l).leases() {
				all = append(all, Delegation{p, l.Name, SourceLease})
			}
		}
	}
	if len(all) == 0 && len(clients) > 0 {
		all = assigned(h, links, client)
	}
	for i := range links {
		mark(&links[i], all)
	}
	return all
}

// IsDelegated reports whether a prefix has been delegated on the link with an
// index, or, by its route, on any link.
func IsDelegated(h *host.Host, index int) (bool, error) {
	all, err := kernel.MainRoutes(h, unix.AF_INET6)
	return err != nil || slices.ContainsFunc(all, IsDelegationRoute) || len(describe(h, kernel.Link{Index: index}).leases()) > 0, err
}

// assigned finds the parts of a delegation that networkd assigned to links, which
// is all that systemd 252 shows of a delegated /64. client is the link that it
// was delegated on.
func assigned(h *host.Host, links []kernel.Link, client string) (all []Delegation) {
	for _, l := range links {
		if l.NetworkFile == "" || !slices.ContainsFunc(l.Addresses, func(a kernel.Inet) bool { return a.Origin == kernel.OriginRA }) {
			continue
		}
		for _, p := range describe(h, l).assigned() {
			if !slices.ContainsFunc(all, func(d Delegation) bool { return d.Prefix == p }) {
				all = append(all, Delegation{p, client, sourceAssigned})
			}
		}
	}
	return all
}

// mark sets the origin of addresses out of a delegation. To the kernel they look
// like addresses from router advertisements.
func mark(l *kernel.Link, delegations []Delegation) {
	if l.Default6 != nil {
		return // on the line itself a router does advertise them
	}
	for i, a := range l.Addresses {
		out := func(d Delegation) bool { return d.Link != l.Name && d.Prefix.Contains(a.Prefix.Addr()) }
		if a.Origin == kernel.OriginRA && slices.ContainsFunc(delegations, out) {
			l.Addresses[i].Origin = kernel.OriginPD
		}
	}
}

// A description is what the program reads of networkd's JSON. Addresses are
// arrays of bytes there.
type description struct {
	Addresses []struct {
		Address      bytesAddr
		PrefixLength int
		ConfigSource string
	}
	DHCPv6Client struct {
		Prefixes []struct {
			Prefix       bytesAddr
			PrefixLength int
		}
	}
}

// describe queries networkd about a link. Without an answer, as from versions
// that do not have the method, the description is empty.
func describe(h *host.Host, l kernel.Link) (d description) {
	data, err := h.Bus.Describe(context.Background(), l.Index)
	if err != nil || json.Unmarshal(data, &d) != nil {
		return description{}
	}
	return d
}

// leases are the prefixes of the DHCPv6 lease.
func (d description) leases() (all []netip.Prefix) {
	for _, p := range d.DHCPv6Client.Prefixes {
		if prefix := netip.PrefixFrom(p.Prefix.addr(), p.PrefixLength); prefix.IsValid() {
			all = append(all, prefix)
		}
	}
	return all
}

// assigned are the prefixes of the addresses that are out of a delegation.
func (d description) assigned() (all []netip.Prefix) {
	for _, a := range d.Addresses {
		if prefix := netip.PrefixFrom(a.Address.addr(), a.PrefixLength); a.ConfigSource == "DHCP-PD" && prefix.IsValid() {
			all = append(all, prefix.Masked())
		}
	}
	return all
}

// bytesAddr is an address as JSON numbers: a slice of uint8 would be base64.
type bytesAddr []uint16

func (b bytesAddr) addr() netip.Addr {
	if len(b) != 16 {
		return netip.Addr{}
	}
	var ip [16]byte
	for i, v := range b {
		ip[i] = byte(v)
	}
	return netip.AddrFrom16(ip)
}
