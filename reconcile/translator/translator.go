// Package translator is MAP-T (RFC 7599): IPv4 to IPv6 and back, as a function of a packet and as two programs for the kernel.
//
// Out and In are RFC 7915 in plain Go. The programs of translator.c do the same where packets pass, and are tested against it.
package translator

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// A Translator is what a CE translates by. The zero PSIDLen is an address that is not shared.
type Translator struct {
	CE         netip.Addr   // the MAP address, source of all that is sent
	IPv4       netip.Addr   // what NAT gives packets as their source
	DMR        netip.Prefix // the prefix of the rest of the IPv4 internet
	PSID       uint16
	PSIDLen    int
	PSIDOffset int
	MTU        int // bytes, of the IPv6 link
}

// dummy is the source of errors of routers that have no IPv4 address (RFC 7600 section 4.8, RFC 6791).
var dummy = netip.AddrFrom4([4]byte{192, 0, 0, 8})

// A Verdict is what becomes of a packet. All but Translated and Passed are reasons to drop it.
type Verdict uint32

// The programs count by these numbers: translator.c has the same.
const (
	Translated  Verdict = iota
	Passed              // not for the translator: the local IPv6 stack has it
	Malformed           // shorter than its headers say
	Source              // from an address that is not to be sent from
	Destination         // to an address that is not to be sent to
	SourceRoute         // with a source route that has not ended
	Protocol            // of a protocol that is another thing in the other IP version
	Fragmented          // ICMP in fragments, or the first fragment of a datagram without checksum
	Type                // an ICMP message that has no counterpart
	Quoted              // an ICMP error about a packet that cannot be translated
	Checksum            // IPv6 UDP without checksum
	Port                // to a port of another CE
	Header              // extension headers that cannot be left out
	Failed              // a kernel function refused; only the programs count this
	Verdicts
)

var verdicts = [Verdicts]string{"translated", "passed", "malformed", "source", "destination", "source route", "protocol",
	"fragmented", "ICMP type", "quoted packet", "checksum", "port", "extension header", "failed"}

func (v Verdict) String() string {
	if v < Verdicts {
		return verdicts[v]
	}
	return fmt.Sprint("verdict ", uint32(v))
}

// Check refuses what the programs cannot be made for.
func (t Translator) Check() error {
	switch {
	case !t.CE.Is6() || t.CE.Is4In6():
		return fmt.Errorf("%s must be an IPv6 address", t.CE)
	case !t.IPv4.Is4():
		return fmt.Errorf("%s must be an IPv4 address", t.IPv4)
	case !t.DMR.Addr().Is6() || t.DMR != t.DMR.Masked():
		return fmt.Errorf("%s must be an IPv6 prefix", t.DMR)
	case !embeds(t.DMR):
		return fmt.Errorf("the length of %s must be 32, 40, 48, 56, 64 or 96 (RFC 6052 section 2.2), and its bits 64 to 71 zero", t.DMR)
	case t.PSIDLen < 0 || t.PSIDOffset < 0 || t.PSIDLen > 0 && t.PSIDLen+t.PSIDOffset > 16:
		return fmt.Errorf("PSID length %d and offset %d must be 16 bits at most", t.PSIDLen, t.PSIDOffset)
	case t.MTU < 1280 || t.MTU > 65535:
		return fmt.Errorf("MTU %d must be 1280 to 65535", t.MTU)
	}
	return nil
}

// HasPort reports whether a port or identifier is in the CE's set.
func (t Translator) HasPort(p uint16) bool {
	lowest, mask, value := t.portSet()
	return p >= lowest && p&mask == value
}

// portSet is the comparison that a port of the set stands (RFC 7597 section 5.1). Port 0 is reserved (RFC 6335 section 6).
func (t Translator) portSet() (lowest, mask, value uint16) {
	if t.PSIDLen == 0 {
		return 0, 0, 0
	}
	lowest = 1
	if t.PSIDOffset > 0 {
		lowest = 1 << (16 - t.PSIDOffset)
	}
	width := 16 - t.PSIDOffset - t.PSIDLen
	mask = (1<<t.PSIDLen - 1) << width
	return lowest, mask, t.PSID << width & mask
}

// RFC 6052 section 2.2: the address is behind the prefix, but for byte 8, which is zero.

func embeds(p netip.Prefix) bool {
	switch p.Bits() {
	case 32, 40, 48, 56, 64:
		return true
	case 96:
		return p.Addr().As16()[8] == 0
	}
	return false
}

// Embed is the address by which IPv6 knows an IPv4 address. The prefix has one of the lengths of RFC 6052.
func Embed(p netip.Prefix, a netip.Addr) netip.Addr {
	b := p.Addr().As16()
	at := p.Bits() / 8
	for _, v := range a.As4() {
		if at == 8 {
			at++
		}
		b[at] = v
		at++
	}
	return netip.AddrFrom16(b)
}

// Extract is the opposite of Embed; ok is false for an address that embeds none. What is behind the IPv4 address is ignored.
func Extract(p netip.Prefix, a netip.Addr) (v netip.Addr, ok bool) {
	b := a.As16()
	if !p.Contains(a) || b[8] != 0 {
		return v, false
	}
	var four [4]byte
	at := p.Bits() / 8
	for i := range four {
		if at == 8 {
			at++
		}
		four[i] = b[at]
		at++
	}
	return netip.AddrFrom4(four), true
}

// unroutable is true of addresses that no packet on the internet comes from or goes to.
func unroutable(a netip.Addr) bool {
	first := a.As4()[0]
	return first == 0 || first == 127 || first >= 224
}

// adjust updates a checksum for bytes that are replaced (RFC 1624). Both are of even length, or end alike.
func adjust(sum []byte, old, new []byte) {
	s := uint64(^binary.BigEndian.Uint16(sum)) + uint64(^fold(add(0, old))) + add(0, new)
	binary.BigEndian.PutUint16(sum, ^fold(s))
}

func add(s uint64, b []byte) uint64 {
	for ; len(b) > 1; b = b[2:] {
		s += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

func fold(s uint64) uint16 {
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}
