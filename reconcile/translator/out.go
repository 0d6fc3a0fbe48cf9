package translator

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

const (
	icmp4, tcp, udp, icmp6                    = 1, 6, 17, 58
	hopByHop, routing, fragment, destinations = 0, 43, 44, 60
)

// Out translates what the CE sends (RFC 7915 section 4). It has been through NAT, and forwarding has lowered its TTL.
func (t Translator) Out(p []byte) ([]byte, Verdict) { return t.to6(p, true, false) }

// ToCE translates what a border relay sends to the CE.
func (t Translator) ToCE(p []byte) ([]byte, Verdict) { return t.to6(p, false, false) }

// to6 translates a packet from or to the CE. One that is quoted in an error may be cut short, and has its hop limit from when
// it was sent.
func (t Translator) to6(p []byte, fromCE, quoted bool) ([]byte, Verdict) {
	if len(p) < 20 || p[0]>>4 != 4 {
		return nil, Malformed
	}
	head, total := int(p[0]&15)*4, int(binary.BigEndian.Uint16(p[2:]))
	if head < 20 || total < head || len(p) < head || !quoted && len(p) < total {
		return nil, Malformed
	}
	src, dst := netip.AddrFrom4([4]byte(p[12:])), netip.AddrFrom4([4]byte(p[16:]))
	var src6, dst6 netip.Addr
	if fromCE {
		src6, dst6 = t.CE, Embed(t.DMR, dst)
	} else {
		src6, dst6 = Embed(t.DMR, src), t.CE
	}
	switch {
	case fromCE && src != t.IPv4 || !fromCE && unroutable(src):
		return nil, Source
	case fromCE && unroutable(dst) || !fromCE && dst != t.IPv4:
		return nil, Destination
	case !quoted && sourceRouted(p[20:head]):
		return nil, SourceRoute
	}

	flags := binary.BigEndian.Uint16(p[6:])
	inFragments, later := flags&0x3fff != 0, flags&0x1fff != 0
	next := p[9]
	switch next {
	case icmp4:
		next = icmp6
		if inFragments {
			return nil, Fragmented
		}
	case hopByHop, routing, fragment, destinations, icmp6:
		return nil, Protocol
	}

	o := make([]byte, 40, 48+len(p))
	binary.BigEndian.PutUint32(o, 6<<28|uint32(p[1])<<20)
	length := total - head
	o[6], o[7] = next, p[8]
	copy(o[8:], src6.AsSlice())
	copy(o[24:], dst6.AsSlice())
	body := slices.Clone(p[head:])
	if !quoted {
		body = body[:length] // What is quoted may be followed by extensions (RFC 4884), which are quoted with it.
	}
	if inFragments {
		o[6] = fragment
		length += 8
		o = append(o, next, 0)
		o = binary.BigEndian.AppendUint16(o, flags<<3|flags>>13&1)
		o = binary.BigEndian.AppendUint32(o, uint32(binary.BigEndian.Uint16(p[4:])))
	}
	if !later {
		var v Verdict
		if next == icmp6 {
			was := len(body)
			body, v = t.icmp6(body, pseudo6(src6, dst6, length, icmp6), fromCE, quoted)
			if !quoted {
				length += len(body) - was
			}
		} else {
			// The pseudo header differs by its addresses alone.
			v = checksum(next, body, p[12:20], o[8:40], quoted, func() Verdict {
				if inFragments {
					return Fragmented
				}
				if int(binary.BigEndian.Uint16(body[4:])) != len(body) {
					return Malformed
				}
				binary.BigEndian.PutUint16(body[6:], notZero(^fold(add(add(0, pseudo6(src6, dst6, length, udp)), body))))
				return Translated
			})
		}
		if v != Translated {
			return nil, v
		}
	}
	if length > 65535 {
		return nil, Malformed
	}
	binary.BigEndian.PutUint16(o[4:], uint16(length))
	return append(o, body...), Translated
}

// checksum updates that of a TCP or UDP header for other addresses. without decides about a UDP header that has none.
func checksum(protocol byte, body, old, new []byte, quoted bool, without func() Verdict) Verdict {
	at, header := 16, 20
	switch protocol {
	case tcp:
	case udp:
		at, header = 6, 8
	default:
		return Translated
	}
	switch {
	case len(body) < header && !quoted:
		return Malformed
	case len(body) < at+2: // not quoted
	case protocol == udp && body[6] == 0 && body[7] == 0:
		if !quoted {
			return without()
		}
	default:
		adjust(body[at:at+2], old, new)
		if protocol == udp {
			binary.BigEndian.PutUint16(body[6:], notZero(binary.BigEndian.Uint16(body[6:])))
		}
	}
	return Translated
}

// notZero is a UDP checksum, where 0 means that it was not computed.
func notZero(sum uint16) uint16 {
	if sum == 0 {
		return 0xffff
	}
	return sum
}

// pseudo6 is the pseudo header of RFC 8200 section 8.1.
func pseudo6(src, dst netip.Addr, length int, next byte) []byte {
	b := append(src.AsSlice(), dst.AsSlice()...)
	b = binary.BigEndian.AppendUint32(b, uint32(length))
	return append(b, 0, 0, 0, next)
}

// sourceRouted is true of options that have a source route with addresses left, and of options that cannot be read.
func sourceRouted(options []byte) bool {
	for len(options) > 0 && options[0] != 0 {
		if options[0] == 1 {
			options = options[1:]
			continue
		}
		if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
			return true
		}
		option := options[:options[1]]
		if (option[0] == 131 || option[0] == 137) && (len(option) < 3 || int(option[2]) <= len(option)) {
			return true
		}
		options = options[len(option):]
	}
	return false
}

// icmp6 translates an ICMP message. pseudo is its pseudo header in IPv6, with the length that it has in IPv4.
func (t Translator) icmp6(p, pseudo []byte, fromCE, quoted bool) ([]byte, Verdict) {
	if len(p) < 8 {
		return nil, Malformed
	}
	o := slices.Clone(p)
	switch p[0] {
	case 8, 0:
		o[0] = 128 | (8-p[0])>>3
		adjust(o[2:4], p[:2], append(pseudo, o[:2]...))
		return o, Translated
	}
	kind, code, rest, ok := t.error6(p)
	switch {
	case quoted:
		return nil, Quoted // An error about an error is one that must not be.
	case !ok:
		return nil, Type
	}
	about, v := t.to6(p[8:], !fromCE, true)
	if v != Translated {
		return nil, Quoted
	}
	o = append([]byte{kind, code, p[2], p[3]}, binary.BigEndian.AppendUint32(nil, rest)...)
	o = append(o, about...)
	binary.BigEndian.PutUint32(pseudo[32:], uint32(len(o)))
	adjust(o[2:4], slices.Concat(p[:2], p[4:]), slices.Concat(pseudo, o[:2], o[4:]))
	return o, Translated
}

// plateaus are the packet sizes of RFC 1191 section 7.1 that IPv6 can have.
var plateaus = []uint32{32000, 17914, 8166, 4352, 2002, 1492, 1280}

// pointers6 are RFC 7915 figure 3: what in an IPv6 header has the meaning of a byte in an IPv4 header; 255 for nothing.
var pointers6 = [20]byte{0, 1, 4, 4, 255, 255, 255, 255, 7, 6, 255, 255, 8, 8, 8, 8, 24, 24, 24, 24}

// error6 translates what an ICMP error says (RFC 7915 section 4.2).
func (t Translator) error6(p []byte) (kind, code byte, rest uint32, ok bool) {
	switch p[0] {
	case 3:
		switch p[1] {
		case 0, 1, 5, 6, 7, 8, 11, 12:
			return 1, 0, 0, true
		case 2:
			return 4, 1, 6, true
		case 3:
			return 1, 4, 0, true
		case 4:
			return 2, 0, t.mtu6(p), true
		case 9, 10, 13, 15:
			return 1, 1, 0, true
		}
	case 11:
		return 3, p[1], 0, true
	case 12:
		if (p[1] == 0 || p[1] == 2) && p[4] < 20 && pointers6[p[4]] != 255 {
			return 4, 0, uint32(pointers6[p[4]]), true
		}
	}
	return 0, 0, 0, false
}

func (t Translator) mtu6(p []byte) uint32 {
	m := uint32(binary.BigEndian.Uint16(p[6:])) + 20
	if m == 20 && len(p) >= 12 { // A router from before RFC 1191 says no MTU.
		total := uint32(binary.BigEndian.Uint16(p[10:]))
		m = 1280
		if i := slices.IndexFunc(plateaus, func(plateau uint32) bool { return plateau < total }); i >= 0 {
			m = plateaus[i]
		}
	}
	return max(min(m, uint32(t.MTU)), 1280)
}
