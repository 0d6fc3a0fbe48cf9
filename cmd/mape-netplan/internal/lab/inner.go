package lab

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// ip4 is an IPv4 header that has been looked at enough to be read safely.
type ip4 struct {
	src, dst netip.Addr
	proto    byte
	offset   int  // of a fragment, in bytes
	more     bool // more fragments follow
	header   []byte
	payload  []byte
}

func parseIP4(p []byte) (h ip4, total int, ok bool) {
	if len(p) < 20 || p[0]>>4 != 4 {
		return h, 0, false
	}
	size := int(p[0]&15) * 4
	total = int(binary.BigEndian.Uint16(p[2:]))
	if size < 20 || len(p) < size || total < size {
		return h, 0, false
	}
	flags := binary.BigEndian.Uint16(p[6:])
	return ip4{
		src:     netip.AddrFrom4([4]byte(p[12:16])),
		dst:     netip.AddrFrom4([4]byte(p[16:20])),
		proto:   p[9],
		offset:  int(flags&0x1fff) * 8,
		more:    flags&0x2000 != 0,
		header:  p[:size],
		payload: p[size:min(total, len(p))],
	}, total, true
}

// A flow is what TCP or UDP packets of a socket to a destination have in common.
type flow struct {
	network  string // "tcp" or "udp"
	from, to netip.AddrPort
}

// flowOf is the flow that an IPv4 packet belongs to, unless it is a fragment.
func flowOf(p []byte) (f flow, ok bool) {
	h, _, ok := parseIP4(p)
	switch {
	case !ok || h.offset > 0 || h.more || len(h.payload) < 8:
		return flow{}, false
	case h.proto == protoTCP:
		f.network = "tcp"
	case h.proto == protoUDP:
		f.network = "udp"
	default:
		return flow{}, false
	}
	f.from = netip.AddrPortFrom(h.src, binary.BigEndian.Uint16(h.payload))
	f.to = netip.AddrPortFrom(h.dst, binary.BigEndian.Uint16(h.payload[2:]))
	return f, true
}

// inner judges the IPv4 packet inside and notes where it goes. A reason found
// outside stands: it is the cause, what follows from it is not.
func (j Judge) inner(v *Verdict, p []byte) {
	h, total, ok := parseIP4(p)
	if !ok || len(p) < total {
		if v.Reason == "" {
			v.Reason = "inner packet is not a whole IPv4 packet"
		}
		return
	}
	v.Inner, v.To = p[:total], h.dst
	v.SentBack = j.owns(h.dst)
	if v.Reason == "" {
		v.Reason = j.innerReason(h)
	}
}

func (j Judge) innerReason(h ip4) string {
	switch {
	case checksum(h.header, 0) != 0:
		return "inner header checksum is wrong"
	case j.owns(h.dst):
		// Whatever its source: a SNAT on the tunnel has made it ours by now.
		return fmt.Sprintf("sent back: inner destination %s is the CE's own", h.dst)
	case !j.owns(h.src):
		return fmt.Sprintf("inner source %s, want %s", h.src, j.IPv4)
	case !abroad(h.dst):
		return fmt.Sprintf("inner destination %s is not on the internet", h.dst)
	case h.offset > 0:
		// Only a first fragment has ports; it was judged when it passed.
		return ""
	case !h.more && !h.checksumOK():
		return fmt.Sprintf("checksum of protocol %d is wrong", h.proto)
	}
	switch h.proto {
	case protoTCP, protoUDP:
		if len(h.payload) < 8 {
			return "inner packet is too short for ports"
		}
		return j.port("source port", binary.BigEndian.Uint16(h.payload))
	case protoICMP:
		return j.icmp(h.payload)
	}
	if j.InSet != nil {
		return fmt.Sprintf("protocol %d has no port, so it cannot share an address", h.proto)
	}
	return ""
}

func (j Judge) icmp(p []byte) string {
	if len(p) < 8 {
		return "ICMP message is too short"
	}
	switch p[0] {
	case 0, 8, 13, 14:
		return j.port("ICMP id", binary.BigEndian.Uint16(p[4:]))
	case 3, 4, 11, 12:
		return j.quoted(p[8:])
	case 5:
		return "ICMP redirect to the internet"
	}
	return fmt.Sprintf("ICMP type %d has no place on a shared address", p[0])
}

// quoted judges the packet an ICMP error is about: it must have come to us.
func (j Judge) quoted(p []byte) string {
	q, _, ok := parseIP4(p)
	switch {
	case !ok:
		return "ICMP error quotes no IPv4 packet"
	case !j.owns(q.dst):
		return fmt.Sprintf("ICMP error quotes a packet to %s, want %s", q.dst, j.IPv4)
	case q.offset > 0:
		return ""
	case len(q.payload) < 8:
		return "ICMP error quotes less than eight bytes of payload"
	}
	switch q.proto {
	case protoTCP, protoUDP:
		return j.port("quoted destination port", binary.BigEndian.Uint16(q.payload[2:]))
	case protoICMP:
		return j.port("quoted ICMP id", binary.BigEndian.Uint16(q.payload[4:]))
	}
	return ""
}

func (j Judge) port(what string, port uint16) string {
	if j.InSet == nil || j.InSet(port) {
		return ""
	}
	return fmt.Sprintf("%s %d is not in the port set", what, port)
}

// checksumOK verifies the transport checksum of a packet that is not a fragment.
func (h ip4) checksumOK() bool {
	pseudo := uint32(0)
	switch h.proto {
	case protoICMP:
	case protoUDP:
		if len(h.payload) >= 8 && h.payload[6] == 0 && h.payload[7] == 0 {
			return true // RFC 768: the sender computed none
		}
		pseudo = h.pseudo()
	case protoTCP:
		pseudo = h.pseudo()
	default:
		return true
	}
	return checksum(h.payload, pseudo) == 0
}

// pseudo is the sum of the pseudo-header of RFC 793 §3.1.
func (h ip4) pseudo() uint32 {
	sum := uint32(h.proto) + uint32(len(h.payload))
	for i := 12; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(h.header[i:]))
	}
	return sum
}

// checksum is the internet checksum (RFC 1071) of p on top of a sum already begun.
func checksum(p []byte, sum uint32) uint16 {
	for ; len(p) > 1; p = p[2:] {
		sum += uint32(binary.BigEndian.Uint16(p))
	}
	if len(p) == 1 {
		sum += uint32(p[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
