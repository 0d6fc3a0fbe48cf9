package kernel

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/nlmsg"
)

// Linux's words that golang.org/x/sys does not have: the attribute with the
// protocol that an address came by (Linux 5.18), and its value for those that
// the kernel made of a router advertisement.
const (
	attributeProtocol = 11 // IFA_PROTO
	ProtocolRA        = 2  // IFAPROT_KERNEL_RA
)

// An InetMessage is what the kernel says of an address. The library's leaves out
// how and when it came.
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
				err = fmt.Errorf("address of the kernel's: %w", err)
				return false
			}
			// Where the kernel lacks a family, it tells of all.
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
