package kernel

import (
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nlmsg"
)

// Of linux/netfilter/nfnetlink_conntrack.h and nf_conntrack_common.h; the packages have only a part.
const (
	ctaTupleZone   = 3
	ctaProtoICMPID = 4
	ipsSrcNAT      = 1 << 4
	ipsDstNAT      = 1 << 5
)

// parse decodes an entry; false for one that is not of IPv4 or says less than it has to.
func (c *Connection) parse(data []byte) bool {
	family, attributes := nlmsg.Family(data)
	if family != unix.AF_INET {
		return false
	}
	status := uint64(0)
	for kind, value := range attributes.Attributes() {
		switch kind {
		case nl.CTA_TUPLE_ORIG:
			c.Original = value
			c.Src, c.Dst = c.tuple(value)
		case nl.CTA_TUPLE_REPLY:
			c.ReplySrc, c.ReplyDst = c.tuple(value)
		case nl.CTA_STATUS:
			status = value.Number()
		case nl.CTA_ID:
			copy(c.Id[:], value)
		case nl.CTA_ZONE:
			c.Zoned = true
		}
	}
	c.Snat, c.Dnat = status&ipsSrcNAT != 0, status&ipsDstNAT != 0
	return c.Src.IsValid() && c.Dst.IsValid() && c.ReplySrc.IsValid() && c.ReplyDst.IsValid()
}

// tuple decodes one direction. The identifier of an ICMP echo is both its ports.
func (c *Connection) tuple(data nlmsg.Value) (src, dst netip.AddrPort) {
	var from, to netip.Addr
	var sport, dport uint16
	for kind, value := range data.Attributes() {
		switch kind {
		case nl.CTA_TUPLE_IP:
			for kind, value := range value.Attributes() {
				switch kind {
				case nl.CTA_IP_V4_SRC:
					from, _ = netip.AddrFromSlice(value)
				case nl.CTA_IP_V4_DST:
					to, _ = netip.AddrFromSlice(value)
				}
			}
		case nl.CTA_TUPLE_PROTO:
			for kind, value := range value.Attributes() {
				switch kind {
				case nl.CTA_PROTO_NUM:
					c.Protocol = uint8(value.Number())
				case nl.CTA_PROTO_SRC_PORT:
					sport = uint16(value.Number())
				case nl.CTA_PROTO_DST_PORT:
					dport = uint16(value.Number())
				case ctaProtoICMPID:
					sport, dport = uint16(value.Number()), uint16(value.Number())
				}
			}
		case ctaTupleZone:
			c.Zoned = true
		}
	}
	return netip.AddrPortFrom(from, sport), netip.AddrPortFrom(to, dport)
}
