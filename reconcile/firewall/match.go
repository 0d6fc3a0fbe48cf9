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
	"mape-netplan/reconcile/nat"
	"mape-netplan/schema"
)

// A likelihood is a truth value of a packet of a kind.
type likelihood int

const (
	no     likelihood = iota
	rarely            // for some packets of the kind, as those to one port, or for one with a mark
	maybe             // it depends on more than is known
	mostly
	yes
)

func (l likelihood) not() likelihood { return yes - l }

func is(b bool) likelihood {
	if b {
		return yes
	}
	return no
}

// test reports whether a packet passes a test.
func (p packet) test(s ruleset.Step) likelihood {
	if p.flags == 0 && slices.Contains(s.Fields, ruleset.FieldTCPFlags) {
		return p.anyFlags(s)
	}
	t := no
	switch {
	case s.Unknown && slices.ContainsFunc(s.Fields, ruleset.OfSome):
		t = rarely
	case s.Unknown:
		return maybe
	}
	for _, c := range s.Any {
		t = max(t, p.inside(s.Fields, c))
	}
	if s.Not {
		t = t.not()
	}
	return t
}

// anyFlags is test for the flags that a packet of TCP has: a new connection begins with SYN alone.
func (p packet) anyFlags(s ruleset.Step) likelihood {
	const syn, psh, ack = 1 << 1, 1 << 3, 1 << 4
	if p.flags = syn; p.state == isNew {
		return p.test(s)
	}
	p.flags = ack
	first := p.test(s)
	for _, p.flags = range []byte{syn | ack, psh | ack} {
		if p.test(s) != first {
			return rarely
		}
	}
	return first
}

// inside reports whether a packet is in one case.
func (p packet) inside(fields []string, c ruleset.Case) likelihood {
	t := yes
	for i, v := range c.Intervals {
		if i < len(fields) {
			t = min(t, p.field(fields[i], v))
		}
	}
	return t
}

func (p packet) field(name string, v ruleset.Interval) likelihood {
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
		if p.icmp != 0 {
			return usually(isNumber(unix.RTN_MULTICAST, v) == yes)
		}
		return isNumber(map[bool]uint32{true: unix.RTN_LOCAL, false: unix.RTN_UNICAST}[p.local], v)
	case ruleset.FieldPacketType:
		return usually(within([]byte{map[bool]byte{true: unix.PACKET_MULTICAST}[p.icmp != 0]}, v) == yes)
	case ruleset.FieldTCPFlags:
		return within([]byte{p.flags}, v)
	case ruleset.FieldICMPType:
		return within([]byte{p.icmp}, v)
	case ruleset.FieldHopLimit:
		if p.icmp == 0 {
			return maybe
		}
		return within([]byte{discoveryHops}, v)
	case ruleset.FieldBack:
		return usually(!hasZero(v))
	case ruleset.FieldDport:
		return portsWithin(p.dports, v)
	case ruleset.FieldSaddr, ruleset.FieldSaddr6:
		return p.src.within(v)
	case ruleset.FieldDaddr, ruleset.FieldDaddr6:
		return p.dst.within(v)
	}
	if ruleset.UsuallyZero(name) {
		return usually(hasZero(v))
	}
	return maybe
}

// usually is a test of a value that a packet seldom has otherwise.
func usually(passes bool) likelihood {
	if passes {
		return mostly
	}
	return rarely
}

func hasZero(v ruleset.Interval) bool {
	return !slices.ContainsFunc(v.From, func(b byte) bool { return b != 0 })
}

// An interval's ends are as long as its field.
func within(b []byte, v ruleset.Interval) likelihood {
	return is(len(b) == len(v.From) && bytes.Compare(v.From, b) <= 0 && bytes.Compare(b, v.To) <= 0)
}

// portsWithin reports whether the packet's port, which is one of a range, is in an interval.
func portsWithin(r schema.PortRange, v ruleset.Interval) likelihood {
	if r.First == 0 || len(v.From) != 2 || len(v.To) != 2 {
		return rarely
	}
	switch from, to := binary.BigEndian.Uint16(v.From), binary.BigEndian.Uint16(v.To); {
	case from <= r.First && r.Last <= to:
		return yes
	case r.Last < from || to < r.First:
		return no
	}
	return rarely
}

func isNumber(n uint32, v ruleset.Interval) likelihood {
	return within(binary.BigEndian.AppendUint32(nil, n), v)
}

// hasName reports whether an interface is in an interval of names. Without an interface every comparison fails in the kernel.
func hasName(v ruleset.Interval, name string) bool {
	return name != "" && within(kernel.IfName(name), v) == yes
}

// anyBut reports whether any interface but this one is in an interval of names.
func anyBut(name string, v ruleset.Interval) likelihood {
	if hasName(v, name) && bytes.Equal(v.From, v.To) {
		return no
	}
	return rarely
}

// within reports whether an address is in an interval: one of the spans, or without any, one of the internet.
func (all spans) within(v ruleset.Interval) likelihood {
	from, ok := netip.AddrFromSlice(v.From)
	to, ok2 := netip.AddrFromSlice(v.To)
	if !ok || !ok2 {
		return maybe
	}
	if len(all) == 0 {
		switch {
		case from == netip.IPv4Unspecified() && to == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
			return yes
		case slices.ContainsFunc(nat.SpecialPurpose, func(p netip.Prefix) bool { return p.Contains(from) && p.Contains(to) }):
			return no
		}
		return rarely
	}
	if from.Compare(all[0].first) <= 0 && all[len(all)-1].last.Compare(to) <= 0 {
		return yes
	}
	next := sort.Search(len(all), func(i int) bool { return from.Compare(all[i].last) <= 0 })
	if next == len(all) || to.Less(all[next].first) {
		return no
	}
	return rarely
}
