package kernel

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"

	mdlayher "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/nlmsg"
)

// MainRoutes lists the default routes of the main table of a family, and the unreachable routes of DHCP's, which networkd adds
// for a delegated prefix. Of others the kernel may have hundreds of thousands.
func MainRoutes(h *host.Host, family byte) ([]netlink.Route, error) {
	return WithRetry(func() (some []netlink.Route, err error) {
		request := make([]byte, unix.SizeofRtMsg)
		request[0], request[4] = family, unix.RT_TABLE_MAIN
		err = Dump(h, unix.RTM_GETROUTE, request, func(m nlmsg.Value) (more bool) {
			if len(m) < unix.SizeofRtMsg || m[0] != family || m[4] != unix.RT_TABLE_MAIN {
				return true // A kernel without the family lists all of them.
			}
			if m[1] == 0 || m[7] == unix.RTN_UNREACHABLE && m[5] == unix.RTPROT_DHCP {
				some = append(some, routeOf(m))
			}
			// The kernel lists IPv4 in the order of the addresses: the default routes come first.
			return family != unix.AF_INET || beginsWithZeros(m)
		})
		return some, err
	})
}

// beginsWithZeros reports whether the destination is 0.0.0.0, of any length.
func beginsWithZeros(m nlmsg.Value) bool {
	for kind, value := range m[unix.SizeofRtMsg:].Attributes() {
		if kind == unix.RTA_DST && len(value) == 4 {
			return binary.BigEndian.Uint32(value) == 0
		}
	}
	return true
}

// DefaultRoutes lists the IPv4 default routes of the main table through a link. A multipath route is not counted as one of
// its links' routes.
func DefaultRoutes(h *host.Host, link netlink.Link) (routes []netlink.Route, err error) {
	all, err := MainRoutes(h, unix.AF_INET)
	for _, r := range all {
		if r.LinkIndex == link.Attrs().Index && Destination(r).Bits() == 0 {
			routes = append(routes, r)
		}
	}
	return routes, err
}

// routeOf decodes a struct rtmsg and its attributes, as far as they identify a route, and its next hop and MTU.
func routeOf(m nlmsg.Value) netlink.Route {
	bits := 8 * net.IPv4len
	if m[0] == unix.AF_INET6 {
		bits = 8 * net.IPv6len
	}
	r := netlink.Route{
		Family: int(m[0]), Tos: int(m[3]), Table: int(m[4]), Protocol: netlink.RouteProtocol(m[5]), Scope: netlink.Scope(m[6]),
		Type: int(m[7]), Flags: int(binary.NativeEndian.Uint32(m[8:])),
		Dst: &net.IPNet{IP: make(net.IP, bits/8), Mask: net.CIDRMask(int(m[1]), bits)},
	}
	for kind, value := range m[unix.SizeofRtMsg:].Attributes() {
		switch {
		case kind == unix.RTA_DST && len(value) == bits/8:
			copy(r.Dst.IP, value)
		case kind == unix.RTA_GATEWAY:
			r.Gw = append(net.IP{}, value...)
		case kind == unix.RTA_OIF && len(value) == 4:
			r.LinkIndex = int(binary.NativeEndian.Uint32(value))
		case kind == unix.RTA_PRIORITY && len(value) == 4:
			r.Priority = int(binary.NativeEndian.Uint32(value))
		case kind == unix.RTA_METRICS:
			for kind, value := range value.Attributes() {
				if kind == unix.RTAX_MTU && len(value) == 4 {
					r.MTU = int(binary.NativeEndian.Uint32(value))
				}
			}
		case kind == unix.RTA_MULTIPATH:
			r.MultiPath = hopsOf(value)
		}
	}
	return r
}

// hopsOf reads the links and gateways of a list of struct rtnexthop.
func hopsOf(b []byte) (all []*netlink.NexthopInfo) {
	for len(b) >= unix.SizeofRtNexthop {
		length := int(binary.NativeEndian.Uint16(b))
		if length < unix.SizeofRtNexthop || length > len(b) {
			break
		}
		hop := &netlink.NexthopInfo{LinkIndex: int(binary.NativeEndian.Uint32(b[4:]))}
		for kind, value := range nlmsg.Value(b[unix.SizeofRtNexthop:length]).Attributes() {
			if kind == unix.RTA_GATEWAY {
				hop.Gw = append(net.IP{}, value...)
			}
		}
		all = append(all, hop)
		b = b[min(nlmsg.Align(length), len(b)):]
	}
	return all
}

// Destination is the destination of a route; that of a default route has length 0.
func Destination(r netlink.Route) netip.Prefix {
	ip, _ := netip.AddrFromSlice(r.Dst.IP)
	bits, _ := r.Dst.Mask.Size()
	return netip.PrefixFrom(ip, bits)
}

// Discard is an address to which nothing is routed on the internet (RFC 6666): the far end of a tunnel whose packets are to
// leave in another way.
var Discard = netip.AddrFrom16([16]byte{0: 0x01, 15: 1})

// DiscardRoute reports whether the main table has an unreachable route for Discard, and whether this program has added it.
func DiscardRoute(h *host.Host) (present, ours bool, err error) {
	err = Dump(h, unix.RTM_GETROUTE, discardMessage(0), func(m nlmsg.Value) (more bool) {
		if len(m) < unix.SizeofRtMsg || m[0] != unix.AF_INET6 || m[1] != 128 || m[7] != unix.RTN_UNREACHABLE {
			return true
		}
		for kind, value := range m[unix.SizeofRtMsg:].Attributes() {
			if kind == unix.RTA_DST && string(value) == string(Discard.AsSlice()) {
				present, ours = true, ours || m[5] == protocolOurs
			}
		}
		return true
	})
	return present, ours, err
}

// AddDiscardRoute adds that route.
func AddDiscardRoute(h *host.Host) error {
	err := Change(h, unix.RTM_NEWROUTE, mdlayher.Create|mdlayher.Excl, discardMessage(128), mdlayher.Attribute{Type: unix.RTA_DST, Data: Discard.AsSlice()})
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

// DeleteDiscardRoute deletes that route if this program has added it.
func DeleteDiscardRoute(h *host.Host) error {
	err := Change(h, unix.RTM_DELROUTE, 0, discardMessage(128), mdlayher.Attribute{Type: unix.RTA_DST, Data: Discard.AsSlice()})
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// discardMessage is a struct rtmsg. In a request for a list, length and protocol must be 0.
func discardMessage(length byte) []byte {
	m := make([]byte, unix.SizeofRtMsg)
	m[0], m[1], m[4], m[7] = unix.AF_INET6, length, unix.RT_TABLE_MAIN, unix.RTN_UNREACHABLE
	if length > 0 {
		m[5] = protocolOurs
	}
	return m
}
