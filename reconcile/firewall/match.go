package firewall

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"sort"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/firewall/ruleset"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/schema"
)

// A tri is a truth value: maybe is what depends on more than is known.
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

// test reports whether a packet passes a test.
func (p packet) test(s ruleset.Step) tri {
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

// inside reports whether a packet is in one case.
func (p packet) inside(fields []string, c ruleset.Case) tri {
	t := yes
	for i, v := range c.Intervals {
		if i < len(fields) {
			t = min(t, p.field(fields[i], v))
		}
	}
	return t
}

func (p packet) field(name string, v ruleset.Interval) tri {
	switch name {
	case ruleset.FieldIIfName:
		if p.anyIn {
			return anyBut(p.out.Name, v)
		}
		return is(hasName(v, p.in.Name))
	case ruleset.FieldOIfName:
		if p.anyOut {
			return anyBut(p.in.Name, v)
		}
		return is(hasName(v, p.out.Name))
	case ruleset.FieldIIf:
		if p.anyIn {
			return maybe
		}
		return isNumber(uint32(p.in.Index), v)
	case ruleset.FieldOIf:
		if p.anyOut {
			return maybe
		}
		return isNumber(uint32(p.out.Index), v)
	case ruleset.FieldNFProto:
		return within([]byte{map[byte]byte{4: unix.NFPROTO_IPV4, 6: unix.NFPROTO_IPV6}[p.family]}, v)
	case ruleset.FieldL4Proto:
		return within([]byte{p.proto}, v)
	case ruleset.FieldState:
		if p.state == 0 {
			return maybe
		}
		if isNumber(ruleset.StateDNAT, v) == yes {
			return is(p.dnat)
		}
		return isNumber(p.state, v)
	case ruleset.FieldStatus:
		const destinationNAT = 1 << 5
		if isNumber(destinationNAT, v) == yes {
			return is(p.dnat)
		}
	case ruleset.FieldDestType:
		return isNumber(map[bool]uint32{true: unix.RTN_LOCAL, false: unix.RTN_UNICAST}[p.local], v)
	case ruleset.FieldDport:
		return portsWithin(p.dports, v)
	case ruleset.FieldSaddr, ruleset.FieldSaddr6:
		return p.src.within(v)
	case ruleset.FieldDaddr, ruleset.FieldDaddr6:
		return p.dst.within(v)
	}
	return maybe
}

// An interval's ends are as long as its field.
func within(b []byte, v ruleset.Interval) tri {
	return is(len(b) == len(v.From) && bytes.Compare(v.From, b) <= 0 && bytes.Compare(b, v.To) <= 0)
}

// portsWithin reports whether the packet's port, which is one of a range, is in an interval.
func portsWithin(r schema.PortRange, v ruleset.Interval) tri {
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

func isNumber(n uint32, v ruleset.Interval) tri {
	return within(binary.BigEndian.AppendUint32(nil, n), v)
}

// hasName reports whether an interface is in an interval of names. Without an interface every comparison fails in the kernel.
func hasName(v ruleset.Interval, name string) bool {
	return name != "" && within(kernel.IfName(name), v) == yes
}

// anyBut reports whether any interface but this one is in an interval of names.
func anyBut(name string, v ruleset.Interval) tri {
	if hasName(v, name) && bytes.Equal(v.From, v.To) {
		return no
	}
	return maybe
}

// within reports whether an address is in an interval: one of the spans, or without any, one of the internet.
func (all spans) within(v ruleset.Interval) tri {
	from, ok := netip.AddrFromSlice(v.From)
	to, ok2 := netip.AddrFromSlice(v.To)
	if !ok || !ok2 {
		return maybe
	}
	if len(all) == 0 {
		switch {
		case from == netip.IPv4Unspecified() && to == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
			return yes
		case slices.ContainsFunc(specialPurpose, func(p netip.Prefix) bool { return p.Contains(from) && p.Contains(to) }):
			return no
		}
		return maybe
	}
	if from.Compare(all[0].first) <= 0 && all[len(all)-1].last.Compare(to) <= 0 {
		return yes
	}
	next := sort.Search(len(all), func(i int) bool { return from.Compare(all[i].last) <= 0 })
	if next == len(all) || to.Less(all[next].first) {
		return no
	}
	return maybe
}
