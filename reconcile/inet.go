package reconcile

import (
	"math"
	"net/netip"

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
	all, err := h.inets(unix.AF_UNSPEC, 0)
	if err != nil {
		return err
	}
	of := map[int]*Link{}
	for i := range links {
		of[links[i].Index] = &links[i]
	}
	for _, m := range all {
		l := of[m.index]
		if l == nil {
			continue
		}
		i := Inet{
			Prefix:     m.prefix,
			Temporary:  m.flags&unix.IFA_F_TEMPORARY != 0 && m.prefix.Addr().Is6(),
			Deprecated: m.flags&unix.IFA_F_DEPRECATED != 0,
			Tentative:  m.flags&unix.IFA_F_TENTATIVE != 0,
			Failed:     m.flags&unix.IFA_F_DADFAILED != 0,
		}
		i.learn(m)
		l.Addresses = append(l.Addresses, i)
	}
	return nil
}

// learn says how the machine came to an address, as far as the kernel knows
// that. networkd reads router advertisements
// itself, so that the kernel takes their addresses for its users'; but no
// user gives one a lifetime.
func (i *Inet) learn(m inetMessage) {
	switch ip := i.Prefix.Addr(); {
	case !ip.Is6() || ip.IsLinkLocalUnicast() || ip.IsLoopback():
		return
	case m.protocol == protocolRA:
		i.Origin = OriginRA
	case m.valid == math.MaxUint32:
		i.Origin = OriginStatic
	case i.Prefix.IsSingleIP():
		i.Origin = OriginDHCP6
	default:
		i.Origin = OriginRA
	}
	if m.valid != math.MaxUint32 {
		i.Announced = m.stamp
	}
}
