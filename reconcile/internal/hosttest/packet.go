package hosttest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// ICMP types.
const (
	EchoReply              = 0
	DestinationUnreachable = 3
	EchoRequest            = 8
	TimeExceeded           = 11
	ParameterProblem       = 12
)

// A header is what matters of an IPv4 header.
type header struct {
	Src, Dst netip.Addr
	Proto    byte
	Fragment bool // not the first one
	more     bool // of fragments
}

// Split checks a packet's checksums and returns its header and what is behind.
func Split(p []byte) (header, []byte, error) {
	if len(p) < 28 || p[0] != 0x45 || int(binary.BigEndian.Uint16(p[2:])) != len(p) {
		return header{}, nil, fmt.Errorf("length %d", len(p))
	}
	if Sum(0, p[:20]) != 0 {
		return header{}, nil, errors.New("IP checksum")
	}
	src, _ := netip.AddrFromSlice(p[12:16])
	dst, _ := netip.AddrFromSlice(p[16:20])
	flags := binary.BigEndian.Uint16(p[6:])
	h := header{Src: src, Dst: dst, Proto: p[9], Fragment: flags&0x1fff != 0, more: flags&0x2000 != 0}
	body := p[20:]
	if h.Fragment || h.more {
		return h, body, nil
	}
	switch {
	case h.Proto == 1 && Sum(0, body) != 0:
		return h, body, errors.New("ICMP checksum")
	case h.Proto == 6 && Sum(pseudo(p), body) != 0:
		return h, body, errors.New("TCP checksum")
	case h.Proto == 17 && (body[6] != 0 || body[7] != 0) && Sum(pseudo(p), body) != 0:
		return h, body, errors.New("UDP checksum")
	}
	return h, body, nil
}

// Sum is the internet checksum; 0 over bytes that contain a right one.
func Sum(start uint32, b []byte) uint16 {
	s := start
	for ; len(b) > 1; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

func pseudo(p []byte) uint32 {
	s := uint32(p[9]) + uint32(len(p)-20)
	for i := 12; i < 20; i += 2 {
		s += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	return s
}

// Ipv4 makes a packet; body has its checksum already or is given one.
func Ipv4(src, dst string, proto byte, body []byte) []byte {
	p := make([]byte, 20, 20+len(body))
	p[0], p[8], p[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(p[2:], uint16(20+len(body)))
	copy(p[12:], netip.MustParseAddr(src).AsSlice())
	copy(p[16:], netip.MustParseAddr(dst).AsSlice())
	binary.BigEndian.PutUint16(p[10:], Sum(0, p))
	p = append(p, body...)
	switch proto {
	case 1:
		binary.BigEndian.PutUint16(p[22:], Sum(0, p[20:]))
	case 6:
		binary.BigEndian.PutUint16(p[36:], Sum(pseudo(p), p[20:]))
	case 17:
		binary.BigEndian.PutUint16(p[26:], Sum(pseudo(p), p[20:]))
	}
	return p
}

func UdpTo(src string, sport uint16, dst string, dport uint16, payload string) []byte {
	b := binary.BigEndian.AppendUint16(nil, sport)
	b = binary.BigEndian.AppendUint16(b, dport)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return Ipv4(src, dst, 17, append(append(b, 0, 0), payload...))
}

// TcpTo is a TCP segment without data; a SYN has the option MSS 1460.
func TcpTo(src string, sport uint16, dst string, dport uint16, flags byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, sport)
	b = binary.BigEndian.AppendUint16(b, dport)
	b = append(b, 0, 0, 0, 1, 0, 0, 0, 1, 0x60, flags, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 0x05, 0xb4)
	return Ipv4(src, dst, 6, b)
}

func EchoTo(src, dst string, kind byte, id uint16) []byte {
	b := append([]byte{kind, 0, 0, 0}, binary.BigEndian.AppendUint16(nil, id)...)
	return Ipv4(src, dst, 1, append(b, 0, 1, 'x', 'y'))
}

// ErrorTo is an ICMP error that quotes the beginning of a packet.
func ErrorTo(src, dst string, kind, code byte, rest uint32, about []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{kind, code, 0, 0}, rest)
	return Ipv4(src, dst, 1, append(b, about[:min(len(about), 28)]...))
}
