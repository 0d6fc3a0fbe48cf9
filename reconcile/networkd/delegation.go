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
	// Link is the one it came by; "" is not known.
	Link string `json:"link,omitempty"`
	// Source is what tells of it: "route", "lease" or "assigned".
	Source string `json:"source"`
}

const (
	// SourceRoute is the kernel's unreachable route, which networkd makes for
	// every delegation shorter than /64 so that packets to a part that no link
	// has do not go back to the provider.
	SourceRoute = "route"
	// SourceLease is networkd's DHCPv6 lease. systemd 252 does not show it.
	SourceLease = "lease"
	// sourceAssigned is a part of a delegation that networkd has assigned to
	// another link.
	sourceAssigned = "assigned"
)

// KeepsDelegation says whether a route is the one that networkd keeps for a
// delegation: "unreachable … dev lo proto dhcp".
func KeepsDelegation(r netlink.Route) bool {
	return r.Family == unix.AF_INET6 && r.Type == unix.RTN_UNREACHABLE && r.Protocol == unix.RTPROT_DHCP &&
		kernel.Destination(r).Bits() > 0
}

// Delegations finds the prefixes that DHCPv6 delegated: those that the kernel
// keeps a route for, and where there is none, what networkd says of the links
// that its DHCPv6 client runs on. networkd is only asked then: its answer
// lists every route of the link, and with a thousand takes it a second on a
// slow machine.
func Delegations(h *host.Host, links []kernel.Link, kept []netip.Prefix) []Delegation {
	var clients []kernel.Link
	if h.Bus != nil {
		for _, l := range links {
			if _, runs := LinkState(h, l.Index, "DHCP6_CLIENT_IAID"); runs {
				clients = append(clients, l)
			}
		}
	}
	by := "" // not known of several
	if len(clients) == 1 {
		by = clients[0].Name
	}
	var all []Delegation
	for _, p := range kept {
		all = append(all, Delegation{p, by, SourceRoute})
	}
	if len(all) == 0 {
		for _, l := range clients {
			for _, p := range describe(h, l).leases() {
				all = append(all, Delegation{p, l.Name, SourceLease})
			}
		}
	}
	if len(all) == 0 && len(clients) > 0 {
		all = assigned(h, links, by)
	}
	for i := range links {
		mark(&links[i], all)
	}
	return all
}

// IsDelegated says whether a prefix has been delegated to the link of an index,
// or by way of some other.
func IsDelegated(h *host.Host, index int) (bool, error) {
	all, err := kernel.MainRoutes(h, unix.AF_INET6)
	return err != nil || slices.ContainsFunc(all, KeepsDelegation) || len(describe(h, kernel.Link{Index: index}).leases()) > 0, err
}

// assigned finds the parts of a delegation that networkd gave to links: all
// that systemd 252 tells of a delegated /64. by is the link that it came by.
func assigned(h *host.Host, links []kernel.Link, by string) (all []Delegation) {
	for _, l := range links {
		if l.NetworkFile == "" || !slices.ContainsFunc(l.Addresses, func(a kernel.Inet) bool { return a.Origin == kernel.OriginRA }) {
			continue
		}
		for _, p := range describe(h, l).assigned() {
			if !slices.ContainsFunc(all, func(d Delegation) bool { return d.Prefix == p }) {
				all = append(all, Delegation{p, by, sourceAssigned})
			}
		}
	}
	return all
}

// mark says of addresses out of a delegation that they are: to the kernel they
// look as if a router had advertised them.
func mark(l *kernel.Link, delegations []Delegation) {
	if l.Default6 != nil {
		return // On the line itself a router does advertise them.
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

// describe asks networkd about a link. No answer is no knowledge, as on
// versions that do not have the method.
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

// assigned are the prefixes of the addresses that were made of a delegation.
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
