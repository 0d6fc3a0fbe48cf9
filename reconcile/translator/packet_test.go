package translator_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/translator"
)

// jool is the CE 11b of the tutorial: ports 55296 to 57343.
var jool = translator.Translator{
	CE: netip.MustParseAddr("2001:db8:ce:11b:0:c000:208:1b"), IPv4: netip.MustParseAddr("192.0.2.8"),
	DMR: netip.MustParsePrefix("64:ff9b::/96"), PSID: 27, PSIDLen: 5, MTU: 1500,
}

const (
	ours, theirs = "192.0.2.8", "203.0.113.56"
	port         = 55300
)

// withOptions puts options, padded, into the header of an IPv4 packet.
func withOptions(p []byte, options ...byte) []byte {
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	q := append(append(p[:20:20], options...), p[20:]...)
	q[0] += byte(len(options) / 4)
	return sized(q)
}

// fragmented gives an IPv4 packet a place in a datagram: flags and offset of the header.
func fragmented(p []byte, flags uint16) []byte {
	binary.BigEndian.PutUint32(p[4:], 0x42420000|uint32(flags))
	return sized(p)
}

// sized makes length and header checksum right.
func sized(p []byte) []byte {
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	p[10], p[11] = 0, 0
	binary.BigEndian.PutUint16(p[10:], hosttest.Sum(0, p[:p[0]&15*4]))
	return p
}

// ipv6 makes a packet with right checksums. more are extension headers, whose bytes for the next header are as given; next is
// the first header, last that of body.
func ipv6(src, dst netip.Addr, next byte, more []byte, last byte, body []byte) []byte {
	p := append([]byte{0x60, 0, 0, 0, 0, 0, next, 64}, src.AsSlice()...)
	p = append(append(append(p, dst.AsSlice()...), more...), body...)
	binary.BigEndian.PutUint16(p[4:], uint16(len(p)-40))
	at := map[byte]int{6: 16, 17: 6, 58: 2}[last]
	if at > 0 && len(body) > at+1 {
		sum := p[40+len(more)+at:]
		sum[0], sum[1] = 0, 0
		binary.BigEndian.PutUint16(sum, whole(p, last, p[40+len(more):]))
	}
	return p
}

// whole is the checksum of the last header of an IPv6 packet, over all of it.
func whole(p []byte, last byte, body []byte) uint16 {
	pseudo := append(append([]byte(nil), p[8:40]...), 0, 0, byte(len(body)>>8), byte(len(body)), 0, 0, 0, last)
	return hosttest.Sum(uint32(^hosttest.Sum(0, pseudo)), body)
}

func from(a string, in translator.Translator) netip.Addr {
	return translator.Embed(in.DMR, netip.MustParseAddr(a))
}

// udpBody is a UDP datagram without a checksum.
func udpBody(src, dst uint16, payload string) []byte {
	b := binary.BigEndian.AppendUint16(nil, src)
	b = binary.BigEndian.AppendUint16(b, dst)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

// judge4 checks every checksum of an IPv4 packet, and those of the one it quotes.
func judge4(t testing.TB, p []byte) {
	t.Helper()
	if _, _, err := hosttest.Split(p); err != nil {
		t.Errorf("%v in %x", err, p)
	}
	if p[9] == 1 && p[20] != 8 && p[20] != 0 {
		if q := p[28:]; hosttest.Sum(0, q[:20]) != 0 {
			t.Errorf("the quoted header has a wrong checksum in %x", p)
		}
	}
}

// judge6 checks the checksum of an IPv6 packet that is no fragment, and that of the one it quotes if it is there as a whole.
func judge6(t testing.TB, p []byte) {
	t.Helper()
	body := p[40:]
	if int(binary.BigEndian.Uint16(p[4:])) != len(body) {
		t.Errorf("the length is wrong in %x", p)
	}
	if p[6] != 44 && whole(p, p[6], body) != 0 {
		t.Errorf("the checksum is wrong in %x", p)
	}
	if q := p[min(len(p), 48):]; p[6] == 58 && body[0] < 128 && len(q) >= 40 && int(binary.BigEndian.Uint16(q[4:])) == len(q)-40 {
		judge6(t, q)
	}
}
