package lab

import (
	"fmt"
	"net/netip"
)

// Judge knows one customer edge and says what of its packets is wrong. It is
// stricter than a real far end: checksums are verified too, because a
// NAT that rewrites ports can get them wrong and a server would drop such a
// packet in silence.
type Judge struct {
	Mode    Mode
	CE, BR  netip.Addr             // BR is the far end's own address, whatever that is called
	IPv4    netip.Prefix           // the address as /32, or a whole prefix; with DS-Lite the LAN
	InSet   func(port uint16) bool // ports and ICMP ids of the set; nil is all of them
	DMR     netip.Prefix           // of MAP-T
	Refuses bool                   // what is wrong is answered with ICMPv6 unreachable, source address failed policy
}

// Verdict is what the judge says of one frame.
type Verdict struct {
	Tunnel   bool       // the frame is for the border relay, or should have been
	DstOpt   bool       // it has a destination options header (RFC 2473 encapsulation limit)
	Reason   string     // why it is wrong, "" when it is not
	SentBack bool       // it is a packet from the internet to the CE, sent back to the BR
	To       netip.Addr // where the inner packet goes
	Inner    []byte     // the inner IPv4 packet
}

const (
	protoICMP     = 1
	protoIPIP     = 4
	protoTCP      = 6
	protoUDP      = 17
	protoIPv6     = 41
	protoFragment = 44
	protoICMPv6   = 58
	protoDstOpts  = 60
)

// Frame judges an Ethernet frame that the gateway sent to the access network.
// What a host may say there on its own behalf (ARP, neighbor discovery, native
// IPv6) is not tunnel traffic and not judged.
func (j Judge) Frame(frame []byte) Verdict {
	if len(frame) < 14 {
		return Verdict{}
	}
	switch uint16(frame[12])<<8 | uint16(frame[13]) {
	case 0x0800:
		return Verdict{Tunnel: true, Reason: "IPv4 outside of the tunnel"}
	case 0x86dd:
		return j.outer(frame[14:])
	}
	return Verdict{}
}

func (j Judge) outer(p []byte) Verdict {
	if len(p) < 40 {
		return Verdict{}
	}
	src, dst := netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[24:40]))
	length := int(p[4])<<8 | int(p[5])
	if len(p) < 40+length {
		return Verdict{}
	}
	next, payload := p[6], p[40:40+length]
	v := Verdict{}
	fragment, whole := false, p[:40+length]
	for next == protoFragment || next == protoDstOpts || next == 0 || next == 43 {
		if len(payload) < 8 {
			return Verdict{}
		}
		size := 8 + 8*int(payload[1])
		if next == protoFragment {
			size, fragment = 8, true
		}
		if len(payload) < size {
			return Verdict{}
		}
		v.DstOpt = v.DstOpt || next == protoDstOpts
		if fragment && next == protoFragment && (payload[2] != 0 || payload[3]&^7 != 0) {
			// A later fragment has nothing behind its header that could be read.
			next, payload = payload[0], nil
			break
		}
		next, payload = payload[0], payload[size:]
	}
	if j.Mode == MAPT && next != protoIPIP && next != protoIPv6 {
		return j.translated(v, src, dst, whole)
	}
	if next != protoIPIP && next != protoIPv6 {
		return Verdict{} // the host's own: neighbor discovery, echo, DHCPv6
	}
	v.Tunnel = true
	switch {
	case j.Mode == MAPT:
		v.Reason = "a packet inside of another on a line that translates"
	case fragment:
		v.Reason = "outer packet is fragmented: the tunnel's MTU is too large"
	case v.DstOpt:
		v.Reason = "destination options header before the inner packet (encapsulation limit)"
	case next != protoIPIP:
		v.Reason = fmt.Sprintf("next header %d, want 4 (IPv4)", next)
	case src != j.CE:
		v.Reason = fmt.Sprintf("outer source %s, want %s", src, j.CE)
	case dst != j.BR:
		v.Reason = fmt.Sprintf("outer destination %s, want %s", dst, j.BR)
	}
	if next == protoIPIP && !fragment && j.Mode != MAPT {
		j.inner(&v, payload)
	}
	return v
}
