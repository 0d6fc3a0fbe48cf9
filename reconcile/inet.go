package reconcile

import (
	"math"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// An Inet is an address on a link.
type Inet struct {
	Prefix     netip.Prefix `json:"prefix"` // the address and its length
	Temporary  bool         `json:"temporary,omitempty"`
	Deprecated bool         `json:"deprecated,omitempty"`
	// Tentative is before duplicate address detection has ended, Failed after
	// it has found the address on another host.
	Tentative bool `json:"tentative,omitempty"`
	Failed    bool `json:"failed,omitempty"`
	// Origin is how the machine came to it; "" is not known.
	Origin Origin `json:"origin,omitempty"`
	// Announced is when its lifetime was set last, in hundredths of a second
	// since the machine was booted; 0 for an address that lasts for ever. An
	// address whose router has stopped announcing it falls behind.
	Announced uint32 `json:"announced,omitempty"`
}

// An Origin is how a machine came to an address or a prefix.
type Origin string

const (
	OriginRA     Origin = "ra"     // made of a prefix that a router advertises (RFC 4862)
	OriginDHCP6  Origin = "dhcp6"  // assigned by DHCPv6 (RFC 8415, IA_NA)
	OriginPD     Origin = "pd"     // made of a prefix that DHCPv6 delegated (RFC 8415, IA_PD)
	OriginStatic Origin = "static" // configured by hand
)

// addresses reads the kernel's addresses.
func (h *Host) addresses(links []Link) error {
	all, err := whole(func() ([]netlink.Addr, error) { return h.Net.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return err
	}
	told, err := whole(h.announcements)
	if err != nil {
		return err
	}
	at := map[inetKey]announcement{}
	for _, a := range told {
		at[a.inetKey] = a
	}
	of := map[int]*Link{}
	for i := range links {
		of[links[i].Index] = &links[i]
	}
	for _, a := range all {
		ip, ok := netip.AddrFromSlice(a.IP)
		l := of[a.LinkIndex]
		if !ok || l == nil {
			continue
		}
		bits, _ := a.Mask.Size()
		i := Inet{
			Prefix:     netip.PrefixFrom(ip.Unmap(), bits),
			Temporary:  a.Flags&unix.IFA_F_TEMPORARY != 0 && ip.Is6() && a.Flags&unix.IFA_F_SECONDARY != 0,
			Deprecated: a.Flags&unix.IFA_F_DEPRECATED != 0,
			Tentative:  a.Flags&unix.IFA_F_TENTATIVE != 0,
			Failed:     a.Flags&unix.IFA_F_DADFAILED != 0,
		}
		i.learn(uint32(a.ValidLft), at[inetKey{a.LinkIndex, i.Prefix.Addr()}])
		l.Addresses = append(l.Addresses, i)
	}
	return nil
}

// learn says how the machine came to an address, as far as the kernel knows
// that. valid is its lifetime in seconds. networkd reads router advertisements
// itself, so that the kernel takes their addresses for its users'; but no
// user gives one a lifetime.
func (i *Inet) learn(valid uint32, a announcement) {
	switch ip := i.Prefix.Addr(); {
	case !ip.Is6() || ip.IsLinkLocalUnicast() || ip.IsLoopback():
		return
	case a.protocol == protocolRA:
		i.Origin = OriginRA
	case valid == math.MaxUint32:
		i.Origin = OriginStatic
	case i.Prefix.IsSingleIP():
		i.Origin = OriginDHCP6
	default:
		i.Origin = OriginRA
	}
	if valid != math.MaxUint32 {
		i.Announced = a.stamp
	}
}
