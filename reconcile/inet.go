package reconcile

import (
	"encoding/binary"
	"errors"
	"math"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
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
	told, err := whole(announcements)
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

// Linux's words that golang.org/x/sys does not have: the attribute with the
// protocol that an address came by (Linux 5.18), and its value for those that
// the kernel made of a router advertisement.
const (
	attributeProtocol = 11 // IFA_PROTO
	protocolRA        = 2  // IFAPROT_KERNEL_RA
)

type inetKey struct {
	index int
	ip    netip.Addr
}

// An announcement is what netlink.Addr leaves out of what the kernel says of
// an address.
type announcement struct {
	inetKey
	protocol uint8
	stamp    uint32 // when its lifetime was set last, in 1/100 s since boot
}

// announcements asks the kernel in the network namespace of the caller.
func announcements() ([]announcement, error) {
	request := nl.NewNetlinkRequest(unix.RTM_GETADDR, unix.NLM_F_DUMP)
	request.AddData(nl.NewIfAddrmsg(netlink.FAMILY_V6))
	messages, err := request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWADDR)
	if err != nil {
		return nil, err
	}
	var all []announcement
	for _, m := range messages {
		header := nl.DeserializeIfAddrmsg(m)
		attributes, err := nl.ParseRouteAttr(m[header.Len():])
		if err != nil {
			return nil, errors.Join(errors.New("an address of the kernel's cannot be read"), err)
		}
		a := announcement{inetKey: inetKey{index: int(header.Index)}}
		for _, attribute := range attributes {
			switch v := attribute.Value; {
			case attribute.Attr.Type == unix.IFA_ADDRESS && len(v) == 16:
				a.ip = netip.AddrFrom16([16]byte(v))
			case attribute.Attr.Type == attributeProtocol && len(v) == 1:
				a.protocol = v[0]
			case attribute.Attr.Type == unix.IFA_CACHEINFO && len(v) == unix.SizeofIfaCacheinfo:
				a.stamp = binary.NativeEndian.Uint32(v[12:]) // ifa_prefered, ifa_valid, cstamp, tstamp
			}
		}
		all = append(all, a)
	}
	return all, nil
}
