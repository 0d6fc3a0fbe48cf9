package reconcile

import (
	"encoding/binary"
	"iter"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Of linux/netfilter/nfnetlink_conntrack.h and nf_conntrack_common.h; the packages have only a part.
const (
	ctaTupleZone   = 3
	ctaProtoICMPID = 4
	ipsSrcNAT      = 1 << 4
	ipsDstNAT      = 1 << 5
)

// attributes are those of a netlink message, by type. A broken one ends them.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofNlAttr {
			length := int(binary.NativeEndian.Uint16(b))
			if length < unix.SizeofNlAttr || length > len(b) {
				return
			}
			const flags = unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER
			if !yield(binary.NativeEndian.Uint16(b[2:])&^flags, b[unix.SizeofNlAttr:length]) {
				return
			}
			b = b[min(aligned(length), len(b)):]
		}
	}
}

// parse decodes an entry; false for one that is not of IPv4 or says less than it has to.
func (c *connection) parse(data []byte) bool {
	if len(data) < nl.SizeofNfgenmsg || data[0] != unix.AF_INET {
		return false
	}
	status := uint32(0)
	for kind, value := range attributes(data[nl.SizeofNfgenmsg:]) {
		switch kind {
		case nl.CTA_TUPLE_ORIG:
			c.original = value
			c.src, c.dst = c.tuple(value)
		case nl.CTA_TUPLE_REPLY:
			c.replySrc, c.replyDst = c.tuple(value)
		case nl.CTA_STATUS:
			status = number(value)
		case nl.CTA_ID:
			copy(c.id[:], value)
		case nl.CTA_ZONE:
			c.zoned = true
		}
	}
	c.snat, c.dnat = status&ipsSrcNAT != 0, status&ipsDstNAT != 0
	return c.src.IsValid() && c.dst.IsValid() && c.replySrc.IsValid() && c.replyDst.IsValid()
}

// tuple decodes one direction. The identifier of an ICMP echo is both its ports.
func (c *connection) tuple(data []byte) (src, dst netip.AddrPort) {
	var from, to netip.Addr
	var sport, dport uint16
	for kind, value := range attributes(data) {
		switch kind {
		case nl.CTA_TUPLE_IP:
			for kind, value := range attributes(value) {
				switch kind {
				case nl.CTA_IP_V4_SRC:
					from, _ = netip.AddrFromSlice(value)
				case nl.CTA_IP_V4_DST:
					to, _ = netip.AddrFromSlice(value)
				}
			}
		case nl.CTA_TUPLE_PROTO:
			for kind, value := range attributes(value) {
				switch kind {
				case nl.CTA_PROTO_NUM:
					c.protocol = uint8(number(value))
				case nl.CTA_PROTO_SRC_PORT:
					sport = uint16(number(value))
				case nl.CTA_PROTO_DST_PORT:
					dport = uint16(number(value))
				case ctaProtoICMPID:
					sport, dport = uint16(number(value)), uint16(number(value))
				}
			}
		case ctaTupleZone:
			c.zoned = true
		}
	}
	return netip.AddrPortFrom(from, sport), netip.AddrPortFrom(to, dport)
}

// number is a big-endian number of any length.
func number(b []byte) uint32 {
	n := uint32(0)
	for _, x := range b {
		n = n<<8 | uint32(x)
	}
	return n
}
