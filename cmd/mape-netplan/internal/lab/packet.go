package lab

import (
	"encoding/binary"
	"net/netip"
)

// Stranger is an internet address that no host has. Packets injected from it
// are unsolicited; what the CE sends to it is counted in Report.Answered.
var Stranger = netip.MustParseAddr("198.51.100.66")

// UDP is an IPv4 packet with a datagram in it.
func UDP(from, to netip.AddrPort, payload []byte) []byte {
	p := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(p, from.Port())
	binary.BigEndian.PutUint16(p[2:], to.Port())
	binary.BigEndian.PutUint16(p[4:], uint16(8+len(payload)))
	return ipv4(protoUDP, from.Addr(), to.Addr(), append(p, payload...), 6)
}

// SYN is an IPv4 packet that opens a TCP connection.
func SYN(from, to netip.AddrPort) []byte {
	p := make([]byte, 20)
	binary.BigEndian.PutUint16(p, from.Port())
	binary.BigEndian.PutUint16(p[2:], to.Port())
	p[7] = 1               // sequence number
	p[12] = 5 << 4         // header length
	p[13] = 2              // SYN
	p[14], p[15] = 0xff, 0 // window
	return ipv4(protoTCP, from.Addr(), to.Addr(), p, 16)
}

// Echo is an IPv4 packet with an ICMP echo request.
func Echo(from, to netip.Addr, id uint16) []byte {
	p := make([]byte, 16)
	p[0] = 8
	binary.BigEndian.PutUint16(p[4:], id)
	return ipv4(protoICMP, from, to, p, 2)
}

// ipv4 puts a header before payload and the checksum into the payload at an offset.
func ipv4(proto byte, src, dst netip.Addr, payload []byte, at int) []byte {
	p := make([]byte, 20, 20+len(payload))
	p[0] = 4<<4 | 5
	binary.BigEndian.PutUint16(p[2:], uint16(20+len(payload)))
	p[8], p[9] = 64, proto
	copy(p[12:], src.AsSlice())
	copy(p[16:], dst.AsSlice())
	binary.BigEndian.PutUint16(p[10:], checksum(p, 0))
	h := ip4{proto: proto, header: p, payload: payload}
	pseudo := uint32(0)
	if proto != protoICMP {
		pseudo = h.pseudo()
	}
	binary.BigEndian.PutUint16(payload[at:], checksum(payload, pseudo))
	return append(p, payload...)
}
