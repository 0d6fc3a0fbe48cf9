package softwire_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"mape-netplan/reconcile/softwire"
)

// TestReserved: no address that a host cannot have is shared, whatever way it comes: as it is, by a rule for one line, or by
// the EA bits. A private one gets a warning.
func TestReserved(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	ce, br := netip.MustParseAddr("2001:db8:0:1::1"), netip.MustParseAddr("2001:db8:ffff::1")
	for range 20000 {
		var b [4]byte
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if r.IntN(2) == 0 { // Half are near an edge.
			b = [][4]byte{{0, 255, 255, 255}, {1}, {10}, {11}, {100, 63, 255, 255}, {100, 64}, {100, 127, 255, 255}, {100, 128}, {126, 255, 255, 255},
				{127, 0, 0, 1}, {128}, {169, 253, 255, 255}, {169, 254}, {169, 255}, {172, 15, 255, 255}, {172, 16}, {172, 31, 255, 255}, {172, 32},
				{192, 168}, {192, 169}, {223, 255, 255, 255}, {224}, {239, 255, 255, 255}, {240}, {255, 255, 255, 254}, {255, 255, 255, 255}}[r.IntN(26)]
		}
		a := netip.AddrFrom4(b)
		reserved := b[0] == 0 || b[0] == 127 || b[0] >= 224 || b[0] == 169 && b[1] == 254
		private := b[0] == 10 || b[0] == 100 && b[1]&0xc0 == 64 || b[0] == 172 && b[1]&0xf0 == 16 || b[0] == 192 && b[1] == 168
		check := func(how string, s softwire.Softwire, err error) {
			if (err != nil) != reserved {
				t.Errorf("%s %v: %v", how, a, err)
			}
			warned := false
			for _, w := range s.Warnings {
				warned = warned || w.Kind == softwire.NotGlobal
			}
			if err == nil && (warned != private || s.Inner.Addr() != a) {
				t.Errorf("%s %v: %+v", how, a, s)
			}
		}
		s, err := softwire.Given(ce, br, netip.PrefixFrom(a, 32), 1, 8, 4)
		check("given", s, err)
		one := softwire.Rule{IPv6: netip.MustParsePrefix("2001:db8:0:100::/56"), IPv4: netip.PrefixFrom(a, 32), PSIDOffset: 4, PSID: &softwire.PSID{Value: 1, Len: 8}, BR: br}
		s, err = softwire.Compute([]softwire.Rule{one}, one.IPv6, softwire.RFC7597)
		check("one line's", s, err)
		// The EA bits have from all of the address to its last byte.
		length := r.IntN(25)
		rule := softwire.Rule{IPv6: netip.MustParsePrefix("2001:db8::/32"), IPv4: netip.PrefixFrom(a, length).Masked(), EABits: 32 - length, BR: br}
		var c [16]byte
		copy(c[:], []byte{0x20, 1, 0xd, 0xb8})
		suffix := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		suffix <<= length
		c[4], c[5], c[6], c[7] = byte(suffix>>24), byte(suffix>>16), byte(suffix>>8), byte(suffix)
		s, err = softwire.Compute([]softwire.Rule{rule}, netip.PrefixFrom(netip.AddrFrom16(c), 64), softwire.RFC7597)
		check("by EA bits", s, err)
	}
}
