package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/nlmsg"
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
	// Origin is where it comes from; "": not known.
	Origin Origin `json:"origin,omitempty"`
	// Ours: this program has added it (Linux 5.18).
	Ours bool `json:"ours,omitempty"`
	// Announced is when its lifetime was set last, in hundredths of a second
	// since the machine was booted; 0 for an address that lasts for ever. An
	// address whose router has stopped announcing it falls behind.
	Announced uint32 `json:"announced,omitempty"`
}

// An Origin is where an address or a prefix comes from.
type Origin string

const (
	OriginRA     Origin = "ra"     // from a prefix that a router advertises (RFC 4862)
	OriginDHCP6  Origin = "dhcp6"  // assigned by DHCPv6 (RFC 8415, IA_NA)
	OriginPD     Origin = "pd"     // from a prefix that DHCPv6 delegated (RFC 8415, IA_PD)
	OriginStatic Origin = "static" // configured by hand
)

// Addresses adds to each link its addresses in the kernel.
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
			Ours:       m.Protocol == protocolOurs,
		}
		i.setOrigin(m)
		l.Addresses = append(l.Addresses, i)
	}
	return nil
}

// setOrigin sets where an address comes from, as far as the kernel knows. networkd reads router advertisements itself, so
// the kernel takes their addresses for those of a user; but no user gives one a lifetime.
func (i *Inet) setOrigin(m InetMessage) {
	switch ip := i.Prefix.Addr(); {
	case !ip.Is6() || ip.IsLinkLocalUnicast() || ip.IsLoopback():
		return
	case m.Protocol == protocolRA:
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

// Constants of Linux that golang.org/x/sys does not have: the attribute with the protocol of an address (Linux 5.18), and its
// value for addresses that the kernel configured by a router advertisement. The others are free.
const (
	attributeProtocol = 11 // IFA_PROTO
	protocolRA        = 2  // IFAPROT_KERNEL_RA
	protocolOurs      = 97
)

// AddAddress adds an address that lasts for ever to the link of an index, or changes its lifetime; preferred is in seconds.
// It is marked as the program's, so that it can be told from others' where no file names it.
func AddAddress(h *host.Host, index int, address netip.Prefix, preferred, flags uint32) error {
	message := make([]byte, unix.SizeofIfAddrmsg)
	message[0], message[1] = family(address.Addr()), byte(address.Bits())
	binary.NativeEndian.PutUint32(message[4:], uint32(index))
	lifetimes := make([]byte, unix.SizeofIfaCacheinfo)
	binary.NativeEndian.PutUint32(lifetimes, preferred)
	binary.NativeEndian.PutUint32(lifetimes[4:], math.MaxUint32)
	return Change(h, unix.RTM_NEWADDR, netlink.Create|netlink.Replace, message,
		netlink.Attribute{Type: unix.IFA_LOCAL, Data: address.Addr().AsSlice()},
		netlink.Attribute{Type: unix.IFA_ADDRESS, Data: address.Addr().AsSlice()},
		netlink.Attribute{Type: unix.IFA_FLAGS, Data: binary.NativeEndian.AppendUint32(nil, flags)},
		netlink.Attribute{Type: unix.IFA_CACHEINFO, Data: lifetimes},
		netlink.Attribute{Type: attributeProtocol, Data: []byte{protocolOurs}})
}

func family(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// An InetMessage is an address as the kernel has it. The library's type has neither its protocol nor its time.
type InetMessage struct {
	Index            int // of the link
	Prefix           netip.Prefix
	Flags            uint32
	Preferred, Valid uint32 // lifetimes in seconds, MaxUint32 is for ever
	Protocol         uint8
	Stamp            uint32 // when its lifetime was set last, in 1/100 s since boot
}

// Inets lists the addresses of a family, or of all with AF_UNSPEC, on the link of
// an index, or on all with 0.
func Inets(h *host.Host, family byte, index int) ([]InetMessage, error) {
	return WithRetry(func() (all []InetMessage, err error) {
		request := make([]byte, unix.SizeofIfAddrmsg)
		request[0] = family
		binary.NativeEndian.PutUint32(request[4:], uint32(index))
		e := Dump(h, unix.RTM_GETADDR, request, func(data nlmsg.Value) bool {
			var m InetMessage
			if m, err = inetMessageOf(data); err != nil {
				err = fmt.Errorf("address in the kernel: %w", err)
				return false
			}
			// A kernel without the family lists all of them.
			if m.Prefix.IsValid() && (family == unix.AF_UNSPEC || family == data[0]) {
				all = append(all, m)
			}
			return true
		})
		if e != nil {
			return nil, e
		}
		return all, err
	})
}

// inetMessageOf reads a struct ifaddrmsg and its attributes. Of a link with two
// ends IFA_ADDRESS is the other one, whose the length is.
func inetMessageOf(data nlmsg.Value) (m InetMessage, err error) {
	if len(data) < unix.SizeofIfAddrmsg {
		return m, fmt.Errorf("%d bytes are too few", len(data))
	}
	m.Index = int(binary.NativeEndian.Uint32(data[4:]))
	var local, address netip.Addr
	for kind, value := range data[unix.SizeofIfAddrmsg:].Attributes() {
		switch {
		case kind == unix.IFA_ADDRESS:
			address, _ = netip.AddrFromSlice(value)
		case kind == unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(value)
		case kind == unix.IFA_FLAGS && len(value) == 4:
			m.Flags = binary.NativeEndian.Uint32(value)
		case kind == attributeProtocol && len(value) == 1:
			m.Protocol = value[0]
		case kind == unix.IFA_CACHEINFO && len(value) == unix.SizeofIfaCacheinfo:
			m.Preferred, m.Valid = binary.NativeEndian.Uint32(value), binary.NativeEndian.Uint32(value[4:])
			m.Stamp = binary.NativeEndian.Uint32(value[12:]) // after cstamp
		}
	}
	m.Prefix = netip.PrefixFrom(address, int(data[1]))
	if local.IsValid() && local != address {
		m.Prefix = netip.PrefixFrom(local, local.BitLen())
	}
	return m, nil
}
