package reconcile

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	socket "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

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
// an IPv6 address.
type announcement struct {
	inetKey
	protocol uint8
	stamp    uint32 // when its lifetime was set last, in 1/100 s since boot
}

// announcements asks the kernel by a socket of its own: those of the handle
// cannot be borrowed.
func (h *Host) announcements() ([]announcement, error) {
	conn, err := socket.Dial(unix.NETLINK_ROUTE, &socket.Config{NetNS: h.NS})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	request := make([]byte, unix.SizeofIfAddrmsg)
	request[0] = unix.AF_INET6
	messages, err := conn.Execute(socket.Message{
		Header: socket.Header{Type: unix.RTM_GETADDR, Flags: socket.Request | socket.Dump},
		Data:   request,
	})
	if err != nil {
		return nil, err
	}
	var all []announcement
	for _, m := range messages {
		if m.Header.Flags&socket.DumpInterrupted != 0 {
			return nil, netlink.ErrDumpInterrupted
		}
		a, err := announcementOf(m.Data)
		if err != nil {
			return nil, fmt.Errorf("address of the kernel's: %w", err)
		}
		all = append(all, a)
	}
	return all, nil
}

// announcementOf reads a struct ifaddrmsg and its attributes.
func announcementOf(data []byte) (a announcement, err error) {
	if len(data) < unix.SizeofIfAddrmsg {
		return a, fmt.Errorf("%d bytes are too few", len(data))
	}
	a.index = int(binary.NativeEndian.Uint32(data[4:]))
	attributes, err := socket.NewAttributeDecoder(data[unix.SizeofIfAddrmsg:])
	if err != nil {
		return a, err
	}
	for attributes.Next() {
		switch v := attributes.Bytes(); {
		case attributes.Type() == unix.IFA_ADDRESS && len(v) == 16:
			a.ip = netip.AddrFrom16([16]byte(v))
		case attributes.Type() == attributeProtocol && len(v) == 1:
			a.protocol = v[0]
		case attributes.Type() == unix.IFA_CACHEINFO && len(v) == unix.SizeofIfaCacheinfo:
			a.stamp = binary.NativeEndian.Uint32(v[12:]) // ifa_prefered, ifa_valid, cstamp, tstamp
		}
	}
	return a, attributes.Err()
}
