package kernel

import (
	"math"
	"net/netip"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/host"
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

// Addresses reads the kernel's addresses.
func Addresses(h *host.Host, links []Link) error {
	all, err := Inets(h, unix.AF_UNSPEC, 0)
	if err != nil {
		return err
	}
	of := map[int]*Link{}
	for i := range links {
		of[links[i].Index] = &links[i]
	}
	for _, m := range all {
		l := of[m.Index]
		if l == nil {
			continue
		}
		i := Inet{
			Prefix:     m.Prefix,
			Temporary:  m.Flags&unix.IFA_F_TEMPORARY != 0 && m.Prefix.Addr().Is6(),
			Deprecated: m.Flags&unix.IFA_F_DEPRECATED != 0,
			Tentative:  m.Flags&unix.IFA_F_TENTATIVE != 0,
			Failed:     m.Flags&unix.IFA_F_DADFAILED != 0,
		}
		i.Learn(m)
		l.Addresses = append(l.Addresses, i)
	}
	return nil
}

// Learn says how the machine came to an address, as far as the kernel knows
// that. networkd reads router advertisements
// itself, so that the kernel takes their addresses for its users'; but no
// user gives one a lifetime.
func (i *Inet) Learn(m InetMessage) {
	switch ip := i.Prefix.Addr(); {
	case !ip.Is6() || ip.IsLinkLocalUnicast() || ip.IsLoopback():
		return
	case m.Protocol == ProtocolRA:
		i.Origin = OriginRA
	case m.Valid == math.MaxUint32:
		i.Origin = OriginStatic
	case i.Prefix.IsSingleIP():
		i.Origin = OriginDHCP6
	default:
		i.Origin = OriginRA
	}
	if m.Valid != math.MaxUint32 {
		i.Announced = m.Stamp
	}
}
