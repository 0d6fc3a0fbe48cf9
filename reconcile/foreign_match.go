package reconcile

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nft"
	"mape-netplan/schema"
)

// A verdict of somebody who does not know all.
type tri int

const (
	no tri = iota
	maybe
	yes
)

func (t tri) not() tri { return yes - t }

func is(b bool) tri {
	if b {
		return yes
	}
	return no
}

// test says whether a packet passes a test.
func (p packet) test(s nft.Step) tri {
	if s.Unknown {
		return maybe
	}
	t := no
	for _, c := range s.Any {
		t = max(t, p.inside(s.Fields, c))
	}
	if s.Not {
		t = t.not()
	}
	return t
}

// inside says whether a packet is in one case.
func (p packet) inside(fields []string, c nft.Case) tri {
	t := yes
	for i, v := range c.Intervals {
		if i < len(fields) {
			t = min(t, p.field(fields[i], v))
		}
	}
	return t
}

func (p packet) field(name string, v nft.Interval) tri {
	switch name {
	case nft.FieldIIfName:
		if p.anyIn {
			return anyBut(p.out.Name, v)
		}
		return is(hasName(v, p.in.Name))
	case nft.FieldOIfName:
		if p.anyOut {
			return anyBut(p.in.Name, v)
		}
		return is(hasName(v, p.out.Name))
	case nft.FieldIIf:
		if p.anyIn {
			return maybe
		}
		return isNumber(uint32(p.in.Index), v)
	case nft.FieldOIf:
		if p.anyOut {
			return maybe
		}
		return isNumber(uint32(p.out.Index), v)
	case nft.FieldNFProto:
		return within([]byte{map[byte]byte{4: unix.NFPROTO_IPV4, 6: unix.NFPROTO_IPV6}[p.family]}, v)
	case nft.FieldL4Proto:
		return within([]byte{p.proto}, v)
	case nft.FieldState:
		if p.state == 0 {
			return maybe
		}
		if isNumber(nft.StateDNAT, v) == yes {
			return is(p.dnat)
		}
		return isNumber(p.state, v)
	case nft.FieldStatus:
		const destinationNAT = 1 << 5
		if isNumber(destinationNAT, v) == yes {
			return is(p.dnat)
		}
	case nft.FieldDestType:
		return isNumber(map[bool]uint32{true: unix.RTN_LOCAL, false: unix.RTN_UNICAST}[p.local], v)
	case nft.FieldDport:
		return portsWithin(p.dports, v)
	case nft.FieldSaddr, nft.FieldSaddr6:
		return addresses(p.src, v)
	case nft.FieldDaddr, nft.FieldDaddr6:
		return addresses(p.dst, v)
	}
	return maybe
}

// An interval's ends are as long as its field.
func within(b []byte, v nft.Interval) tri {
	return is(len(b) == len(v.From) && bytes.Compare(v.From, b) <= 0 && bytes.Compare(b, v.To) <= 0)
}

// portsWithin says whether some ports, of which one is the packet's, are in an interval.
func portsWithin(r schema.PortRange, v nft.Interval) tri {
	if r.First == 0 || len(v.From) != 2 || len(v.To) != 2 {
		return maybe
	}
	switch from, to := binary.BigEndian.Uint16(v.From), binary.BigEndian.Uint16(v.To); {
	case from <= r.First && r.Last <= to:
		return yes
	case r.Last < from || to < r.First:
		return no
	}
	return maybe
}

func isNumber(n uint32, v nft.Interval) tri { return within(binary.BigEndian.AppendUint32(nil, n), v) }

// hasName says whether an interface is in an interval of names. None is in none: without an interface the kernel lets
// every comparison fail.
func hasName(v nft.Interval, name string) bool {
	return name != "" && within(ifname(name), v) == yes
}

// anyBut says whether an interface that is any but this one is in an interval of names.
func anyBut(name string, v nft.Interval) tri {
	if hasName(v, name) && bytes.Equal(v.From, v.To) {
		return no
	}
	return maybe
}

// special are the addresses that nobody on the internet has.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("224.0.0.0/3"),
}

// addresses says whether an address of one of the prefixes, or without any one of the internet, is in an interval.
func addresses(of []netip.Prefix, v nft.Interval) tri {
	from, ok := netip.AddrFromSlice(v.From)
	to, ok2 := netip.AddrFromSlice(v.To)
	if !ok || !ok2 {
		return maybe
	}
	if len(of) == 0 {
		switch {
		case from == netip.IPv4Unspecified() && to == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
			return yes
		case slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(from) && p.Contains(to) }):
			return no
		}
		return maybe
	}
	inside, outside := 0, 0
	for _, p := range of {
		first, end := p.Masked().Addr(), last(p)
		switch {
		case from.Compare(first) <= 0 && end.Compare(to) <= 0:
			inside++
		case end.Less(from) || to.Less(first):
			outside++
		}
	}
	switch len(of) {
	case inside:
		return yes
	case outside:
		return no
	}
	return maybe
}

// last is the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
