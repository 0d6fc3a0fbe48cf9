package ruleset

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/nlmsg"
)

// cmp makes a test of a comparison.
func (d *tracer) cmp(a nlmsg.Value) {
	o, op, data := d.regs[register(a.Get(1))], expr.CmpOp(a.Get(2).Number()), slices.Clone(a.Get(3).Get(unix.NFTA_DATA_VALUE))
	switch not := op == expr.CmpOpNeq; {
	case !known(o.fields):
		d.steps = append(d.steps, Step{Fields: o.fields, Not: not, Unknown: true})
	case o.mask != nil:
		d.masked(o, op, data)
	case op == expr.CmpOpEq, not:
		d.test(o.fields, not, data, data)
	case op == expr.CmpOpGte:
		d.test(o.fields, false, data, bytes.Repeat([]byte{0xff}, len(data)))
	case op == expr.CmpOpLte:
		d.test(o.fields, false, make([]byte, len(data)), data)
	default:
		d.steps = append(d.steps, Step{Fields: o.fields, Unknown: true})
	}
}

func (d *tracer) between(a nlmsg.Value) {
	o, not := d.regs[register(a.Get(1))], expr.CmpOp(a.Get(2).Number()) == expr.CmpOpNeq
	if !known(o.fields) || o.mask != nil {
		d.steps = append(d.steps, Step{Fields: o.fields, Not: not, Unknown: true})
		return
	}
	d.test(o.fields, not, slices.Clone(a.Get(3).Get(unix.NFTA_DATA_VALUE)), slices.Clone(a.Get(4).Get(unix.NFTA_DATA_VALUE)))
}

// test tests for one interval.
func (d *tracer) test(fields []string, not bool, from, to []byte) {
	d.steps = append(d.steps, Step{Fields: fields, Not: not, Any: []Case{{Intervals: split(fields, from, to)}}})
}

func known(fields []string) bool {
	return len(fields) > 0 && !slices.ContainsFunc(fields, func(f string) bool { return fieldSizes[f] == 0 })
}

// masked is a test for some bits: a prefix of an address, or any of several states.
func (d *tracer) masked(o operands, op expr.CmpOp, data []byte) {
	switch {
	case UsuallyZero(o.fields[0]): // Of 0 the bits that are compared are 0 as well.
		d.test(o.fields, op == expr.CmpOpNeq, data, data)
	case o.fields[0] == FieldTCPFlags && len(data) == 1 && len(o.mask) == 1:
		d.flags(o.mask[0], data[0], op == expr.CmpOpNeq)
	case (o.fields[0] == FieldState || o.fields[0] == FieldStatus) && !hasBits(data) && len(o.mask) == 4:
		d.steps = append(d.steps, Step{Fields: o.fields, Not: op == expr.CmpOpEq, Any: bitCases(binary.NativeEndian.Uint32(o.mask))})
	case contiguous(o.mask) && len(data) == len(o.mask):
		last := slices.Clone(data)
		for i := range last {
			last[i] |= ^o.mask[i]
		}
		d.test(o.fields, op == expr.CmpOpNeq, data, last)
	default:
		d.steps = append(d.steps, Step{Fields: o.fields, Unknown: true})
	}
}

// flags is a test for some of the flags of TCP.
func (d *tracer) flags(mask, want byte, not bool) {
	cases := []Case{}
	for f := range byte(1 << 6) {
		if f&mask == want {
			cases = append(cases, Case{Intervals: []Interval{{[]byte{f}, []byte{f}}}})
		}
	}
	d.steps = append(d.steps, Step{Fields: []string{FieldTCPFlags}, Any: cases, Not: not})
}

// bitCases is one of these bits.
func bitCases(mask uint32) []Case {
	cases := []Case{}
	for ; mask != 0; mask &= mask - 1 {
		b := binary.BigEndian.AppendUint32(nil, mask&-mask)
		cases = append(cases, Case{Intervals: []Interval{{b, b}}})
	}
	return cases
}

func contiguous(mask []byte) bool {
	ends := false
	for _, b := range mask {
		if ends && b != 0 || bits.LeadingZeros8(^b)+bits.TrailingZeros8(b) < 8 {
			return false
		}
		ends = ends || b != 0xff
	}
	return true
}

// split gives each field its part of two values, each filled up to the length of the field: a name or an address of
// which only the beginning is compared is all that begin so.
func split(fields []string, from, to []byte) []Interval {
	intervals := make([]Interval, len(fields))
	for i, f := range fields {
		size := min(fieldSizes[f], len(from), len(to))
		v := Interval{from[:size], to[:size]}
		if len(fields) > 1 {
			from, to = from[size:], to[size:]
		}
		if whole := fieldSizes[f]; size < whole && i == len(fields)-1 {
			both := make([]byte, 2*whole)
			v = Interval{both[:whole], both[whole:]}
			copy(v.From, from)
			for n := copy(v.To, to); n < whole; n++ {
				v.To[n] = 0xff
			}
		}
		intervals[i] = ordered(v, f)
	}
	return intervals
}

// ordered turns a number that the kernel has in its own byte order.
func ordered(v Interval, field string) Interval {
	switch field {
	case FieldState, FieldStatus, FieldIIf, FieldOIf, FieldDestType, FieldMark, FieldCtMark:
		if len(v.From) == 4 && len(v.To) == 4 {
			turned := make([]byte, 8)
			binary.BigEndian.PutUint32(turned, binary.NativeEndian.Uint32(v.From))
			binary.BigEndian.PutUint32(turned[4:], binary.NativeEndian.Uint32(v.To))
			return Interval{turned[:4], turned[4:]}
		}
	}
	return v
}

func (d *tracer) bitwise(a nlmsg.Value) {
	o := d.regs[register(a.Get(1))]
	mask, xor := a.Get(4).Get(unix.NFTA_DATA_VALUE), a.Get(5).Get(unix.NFTA_DATA_VALUE)
	if a.Get(nft.BitwiseOp).Number() != 0 || len(o.fields) != 1 || o.mask != nil || hasBits(xor) {
		d.regs[register(a.Get(2))] = operands{fields: []string{"bits"}}
		return
	}
	o.mask = mask
	d.regs[register(a.Get(2))] = o
}

func hasBits(b []byte) bool { return slices.ContainsFunc(b, func(x byte) bool { return x != 0 }) }
