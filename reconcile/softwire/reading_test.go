package softwire_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/softwire"
)

// What follows reads RFC 7597 with strings of 0 and 1, as its figures are drawn, apart from the arithmetic of the package.

func bitString(a netip.Addr) string {
	var b strings.Builder
	for _, octet := range a.AsSlice() {
		fmt.Fprintf(&b, "%08b", octet)
	}
	return b.String()
}

func bitPrefix(p netip.Prefix) string { return bitString(p.Addr())[:p.Bits()] }

func zeros(n int) string { return strings.Repeat("0", max(n, 0)) }

// reading is a softwire by its bits.
type reading struct{ endUser, inner, ce, psid string }

func read(r softwire.Rule, prefix netip.Prefix, id softwire.InterfaceID) reading {
	n := r.IPv6.Bits()
	endUser := bitString(prefix.Addr())[:n+r.EABits]
	inner := bitPrefix(r.IPv4) + endUser[n:]
	psid := ""
	if len(inner) > 32 {
		inner, psid = inner[:32], inner[32:]
	}
	if r.PSID != nil && r.PSID.Len > 0 {
		psid = fmt.Sprintf("%016b", r.PSID.Value)[16-r.PSID.Len:]
	}
	low := zeros(16) + inner + zeros(32-len(inner)) + zeros(16-len(psid)) + psid
	if id == softwire.MAP03 {
		low = low[8:] + zeros(8)
	}
	ce := endUser + zeros(64-len(endUser))
	return reading{endUser, inner, ce + low[len(ce)-64:], psid}
}

// has reports whether a port is in the set: the bits of the offset are not all 0, and the PSID follows them.
func (r reading) has(offset, port int) bool {
	if port == 0 || r.psid == "" {
		return port != 0
	}
	bits := fmt.Sprintf("%016b", port)
	return (offset == 0 || bits[:offset] != zeros(offset)) && bits[offset:offset+len(r.psid)] == r.psid
}

// usable reports whether the address is one that a host may have, and has a port.
func (r reading) usable(offset int) bool {
	for _, reserved := range []string{"00000000", "01111111", "1010100111111110", "111"} {
		if strings.HasPrefix(r.inner, reserved) || strings.HasPrefix(reserved, r.inner) {
			return false
		}
	}
	return offset > 0 || r.psid != zeros(16)
}

// anyLine is a legal rule of any lengths, and a line's prefix in it, of any length that is long enough.
func anyLine(random *rand.Rand) (softwire.Rule, netip.Prefix) {
	var v4 [4]byte
	v6 := [16]byte{0x24}
	for i := range v4 {
		v4[i] = byte(random.Uint32())
	}
	for i := range v6[1:] {
		v6[1+i] = byte(random.Uint32())
	}
	length6, length4 := 8+random.IntN(121), 1+random.IntN(32)
	r := softwire.Rule{IPv6: netip.PrefixFrom(netip.AddrFrom16(v6), length6).Masked(), BR: netip.MustParseAddr("2001:db8:ffff::1")}
	if random.IntN(8) == 0 && length6 <= 96 {
		length4 = 0
		r.EABits = 32
	}
	r.IPv4 = netip.PrefixFrom(netip.AddrFrom4(v4), length4).Masked()
	r.EABits += random.IntN(min(48-length4, 128-length6) + 1 - r.EABits)
	carried := max(r.EABits-(32-length4), 0)
	length := carried
	if random.IntN(4) == 0 {
		if carried == 0 && length4+r.EABits >= 32 {
			length = random.IntN(17)
		}
		r.PSID = &softwire.PSID{Len: length, Value: uint16(random.IntN(1 << length))}
	} else if random.IntN(4) == 0 {
		r.PSID = new(softwire.PSID)
	}
	r.PSIDOffset = random.IntN(min(15, 16-length) + 1)
	if random.IntN(4) == 0 {
		r.BR, r.DMR = netip.Addr{}, netip.MustParsePrefix("2001:db8:ffff::/64")
	}
	return r, netip.PrefixFrom(netip.AddrFrom16(v6), r.EndUserLen()+random.IntN(129-r.EndUserLen()))
}

// TestReading compares Compute with that reading for rules at random, short and long.
func TestReading(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7597, 6))
	kinds := map[string]int{}
	for i := range 20000 {
		r, prefix := anyLine(random)
		id := softwire.InterfaceID(random.IntN(2))
		want := read(r, prefix, id)
		s, err := softwire.Compute([]softwire.Rule{r}, prefix, id)
		if usable := want.usable(r.PSIDOffset); !usable || err != nil {
			if (err == nil) != usable {
				t.Fatalf("%+v %v: usable is %v, %v", r, prefix, usable, err)
			}
			kinds["refused"]++
			continue
		}
		got := reading{bitPrefix(s.Origin.EndUserPrefix), bitPrefix(s.Inner), bitString(s.CE()), fmt.Sprintf("%016b", s.Ports.PSID)[16-s.Ports.PSIDLen:]}
		if got != want || s.Ports.PSIDOffset != r.PSIDOffset || (s.Mode == softwire.MAPT) != r.DMR.IsValid() {
			t.Fatalf("%+v %v %v: %+v\nwant %+v", r, prefix, id, got, want)
		}
		if i%1000 == 0 {
			want.checkPorts(t, s)
		}
		for kind, is := range map[string]bool{"past bit 64": r.EndUserLen() > 64, "rule past bit 64": r.IPv6.Bits() > 64, "shared": s.Ports.PSIDLen > 0,
			"prefix": s.Inner.Bits() < 32, "map-t": s.Mode == softwire.MAPT, "explicit": r.PSID != nil && r.PSID.Len > 0, "whole": r.IPv4.Bits() == 0} {
			if is {
				kinds[kind]++
			}
		}
	}
	for kind, n := range kinds {
		if n < 400 {
			t.Errorf("only %d %s", n, kind)
		}
	}
	if len(kinds) != 8 {
		t.Errorf("kinds %v", kinds)
	}
}

func (r reading) checkPorts(t *testing.T, s softwire.Softwire) {
	t.Helper()
	var all []int
	for port := range 1 << 16 {
		has := r.has(s.Ports.PSIDOffset, port)
		if has {
			all = append(all, port)
		}
		if s.Ports.Has(uint16(port)) != has {
			t.Fatalf("%+v: port %d", s.Ports, port)
		}
	}
	var ranged []int
	for _, p := range s.Ports.Ranges() {
		for port := int(p.First); port <= int(p.Last); port++ {
			ranged = append(ranged, port)
		}
	}
	if !slices.Equal(all, ranged) || len(all) != s.Ports.Count() {
		t.Fatalf("%+v: %d ports, %d in ranges, count %d", s.Ports, len(all), len(ranged), s.Ports.Count())
	}
}
