package translator

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// In translates what is sent to the CE (RFC 7915 section 5). id is the identification of a packet that may be fragmented
// on its way.
func (t Translator) In(p []byte, id uint16) ([]byte, Verdict) {
	if len(p) < 40 || p[0]>>4 != 6 || netip.AddrFrom16([16]byte(p[24:])) != t.CE {
		return nil, Passed
	}
	return t.to4(p, id, false, false)
}

// FromCE translates what a border relay has from the CE.
func (t Translator) FromCE(p []byte, id uint16) ([]byte, Verdict) { return t.to4(p, id, true, false) }

// Extension headers are left out up to these many, and these many bytes.
const (
	mostHeaders = 6
	mostBytes   = 1024
)

// to4 translates a packet from or to the CE; see to6.
func (t Translator) to4(p []byte, id uint16, fromCE, quoted bool) ([]byte, Verdict) {
	if len(p) < 40 || p[0]>>4 != 6 {
		return nil, Malformed
	}
	length := int(binary.BigEndian.Uint16(p[4:]))
	if !quoted && len(p) < 40+length {
		return nil, Malformed
	}
	rest := p[40:]
	if !quoted {
		rest = rest[:length] // What is quoted may be followed by extensions (RFC 4884), which are quoted with it.
	}
	body, next, f, v := behind(rest, p[6], quoted)
	if v != Translated {
		return nil, v
	}
	if length -= len(rest) - len(body); length < 0 {
		return nil, Malformed
	}

	src, dst := netip.AddrFrom16([16]byte(p[8:])), netip.AddrFrom16([16]byte(p[24:]))
	ours, theirs := dst, src
	if fromCE {
		ours, theirs = src, dst
	}
	remote, mapped := Extract(t.DMR, theirs)
	switch {
	case ours != t.CE || mapped && unroutable(remote):
		return nil, Source
	case mapped:
	case fromCE || quoted:
		return nil, Destination
	case next != icmp6:
		return nil, Source
	case len(body) < 1 || body[0] < 1 || body[0] > 4:
		return nil, Passed // to the address itself, by a neighbour
	default:
		remote = dummy
	}
	src4, dst4 := remote, t.IPv4
	if fromCE {
		src4, dst4 = dst4, src4
	}
	switch next {
	case icmp4:
		return nil, Protocol
	case icmp6:
		if f.more || f.offset != 0 {
			return nil, Fragmented
		}
		next = icmp4
	}
	if fromCE == quoted && f.offset == 0 && !t.portOf(next, body, quoted) {
		return nil, Port
	}

	o := make([]byte, 20, len(p))
	o[0], o[1] = 0x45, byte(binary.BigEndian.Uint16(p)>>4)
	o[8], o[9] = p[7], next
	copy(o[12:], src4.AsSlice())
	copy(o[16:], dst4.AsSlice())
	body = slices.Clone(body)
	if f.offset == 0 {
		if next == icmp4 {
			was := len(body)
			body, v = t.icmp4(body, p, length, fromCE, quoted)
			if !quoted {
				length += len(body) - was
			}
		} else {
			v = checksum(next, body, p[8:40], o[12:20], quoted, func() Verdict { return Checksum })
		}
		if v != Translated {
			return nil, v
		}
	}
	total := length + 20
	if total > 65535 {
		return nil, Malformed
	}
	binary.BigEndian.PutUint16(o[2:], uint16(total))
	switch {
	case f.present:
		id = uint16(f.id)
		binary.BigEndian.PutUint16(o[6:], f.offset>>3)
		if f.more {
			o[6] |= 0x20
		}
	case total > 1260:
		id, o[6] = 0, 0x40
	}
	binary.BigEndian.PutUint16(o[4:], id)
	binary.BigEndian.PutUint16(o[10:], ^fold(add(0, o)))
	return append(o, body...), Translated
}

// A fragmentHeader is that of RFC 8200 section 4.5. offset is in bytes.
type fragmentHeader struct {
	present, more bool
	offset        uint16
	id            uint32
}

// behind leaves out extension headers. In an error about a packet of ours there can be a fragment header alone.
//
// They are not skipped after a fragment header: without them the offsets of the fragments would be others.
func behind(p []byte, next byte, quoted bool) (body []byte, protocol byte, f fragmentHeader, v Verdict) {
	size := len(p)
	for range mostHeaders + 1 {
		switch next {
		case hopByHop, routing, destinations:
			if quoted || f.present {
				return nil, 0, f, Header
			}
			if len(p) < 8 || len(p) < int(p[1])*8+8 {
				return nil, 0, f, Malformed
			}
			if next == routing && p[3] != 0 {
				return nil, 0, f, Passed // The stack answers with an error (RFC 8200 section 4.4).
			}
			next, p = p[0], p[int(p[1])*8+8:]
		case fragment:
			if f.present {
				return nil, 0, f, Header
			}
			if len(p) < 8 {
				return nil, 0, f, Malformed
			}
			at := binary.BigEndian.Uint16(p[2:])
			f = fragmentHeader{true, at&1 != 0, at &^ 7, binary.BigEndian.Uint32(p[4:])}
			next, p = p[0], p[8:]
		default:
			return p, next, f, Translated
		}
		if size-len(p) > mostBytes {
			return nil, 0, f, Header
		}
	}
	return nil, 0, f, Header
}

// portOf reports whether the CE has the port that a packet is to, or that a quoted one is from. A shared address has no
// other protocols.
func (t Translator) portOf(protocol byte, body []byte, quoted bool) bool {
	if t.PSIDLen == 0 {
		return true
	}
	at := 2
	switch {
	case protocol == icmp4:
		if len(body) == 0 || body[0] != 128 && body[0] != 129 {
			return true // an error, which is judged by what it quotes, or nothing that is translated
		}
		at = 4
	case protocol != tcp && protocol != udp:
		return false
	case quoted:
		at = 0
	}
	return len(body) < 8 || t.HasPort(binary.BigEndian.Uint16(body[at:]))
}

// icmp4 translates an ICMPv6 message with its length. header is the IPv6 header before it.
func (t Translator) icmp4(p, header []byte, length int, fromCE, quoted bool) ([]byte, Verdict) {
	if len(p) < 8 {
		return nil, Malformed
	}
	o := slices.Clone(p)
	pseudo := pseudo6(netip.AddrFrom16([16]byte(header[8:])), netip.AddrFrom16([16]byte(header[24:])), length, icmp6)
	switch p[0] {
	case 128, 129:
		o[0] = (129 - p[0]) * 8
		adjust(o[2:4], append(pseudo, p[:2]...), o[:2])
		return o, Translated
	}
	kind, code, rest, ok := t.error4(p)
	switch {
	case quoted:
		return nil, Quoted
	case !ok && fromCE:
		return nil, Type
	case !ok:
		return nil, Passed
	}
	about, v := t.to4(p[8:], 0, !fromCE, true)
	switch {
	case v == Port:
		return nil, Port
	case v != Translated && fromCE:
		return nil, Quoted
	case v != Translated:
		return nil, Passed // about a packet of the address itself
	}
	o = append([]byte{kind, code, p[2], p[3]}, binary.BigEndian.AppendUint32(nil, rest)...)
	o = append(o, about...)
	adjust(o[2:4], slices.Concat(pseudo, p[:2], p[4:]), slices.Concat(o[:2], o[4:]))
	return o, Translated
}

// pointers4 are RFC 7915 figure 6; 255 for nothing.
var pointers4 = [8]byte{0, 1, 255, 255, 2, 2, 9, 8}

// error4 translates what an ICMPv6 error says (RFC 7915 section 5.2).
func (t Translator) error4(p []byte) (kind, code byte, rest uint32, ok bool) {
	value := binary.BigEndian.Uint32(p[4:])
	switch p[0] {
	case 1:
		switch p[1] {
		case 0, 2, 3:
			return 3, 1, 0, true
		case 1:
			return 3, 10, 0, true
		case 4:
			return 3, 3, 0, true
		}
	case 2:
		return 3, 4, max(min(value, uint32(t.MTU)), 88) - 20, true
	case 3:
		return 11, p[1], 0, true
	case 4:
		switch {
		case p[1] == 1:
			return 3, 2, 0, true
		case p[1] != 0 || value >= 40:
		case value >= 24:
			return 12, 0, 16 << 24, true
		case value >= 8:
			return 12, 0, 12 << 24, true
		case pointers4[value] != 255:
			return 12, 0, uint32(pointers4[value]) << 24, true
		}
	}
	return 0, 0, 0, false
}
