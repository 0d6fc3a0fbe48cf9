package nft

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// cmp makes a test of a comparison.
func (d *tracer) cmp(a attrs) {
	o, op, data := d.regs[register(a.get(1))], expr.CmpOp(a.get(2).number()), a.get(3).get(unix.NFTA_DATA_VALUE)
	s := Step{Fields: o.fields, Not: op == expr.CmpOpNeq}
	switch {
	case !known(o.fields):
		s.Unknown = true
	case o.mask != nil:
		s = masked(o, op, data)
	case op == expr.CmpOpEq || op == expr.CmpOpNeq:
		s.Any = []Case{{Intervals: split(o.fields, data, data)}}
	case op == expr.CmpOpGte:
		s.Any = []Case{{Intervals: split(o.fields, data, bytes.Repeat([]byte{0xff}, len(data)))}}
	case op == expr.CmpOpLte:
		s.Any = []Case{{Intervals: split(o.fields, make([]byte, len(data)), data)}}
	default:
		s.Unknown = true
	}
	d.steps = append(d.steps, s)
}

func (d *tracer) between(a attrs) {
	o := d.regs[register(a.get(1))]
	s := Step{Fields: o.fields, Not: expr.CmpOp(a.get(2).number()) == expr.CmpOpNeq}
	if s.Unknown = !known(o.fields) || o.mask != nil; !s.Unknown {
		s.Any = []Case{{Intervals: split(o.fields, a.get(3).get(unix.NFTA_DATA_VALUE), a.get(4).get(unix.NFTA_DATA_VALUE))}}
	}
	d.steps = append(d.steps, s)
}

func known(fields []string) bool {
	return len(fields) > 0 && !slices.ContainsFunc(fields, func(f string) bool { return fieldSizes[f] == 0 })
}

// masked is a test for some bits: a prefix of an address, or any of several states.
func masked(o operands, op expr.CmpOp, data []byte) Step {
	s := Step{Fields: o.fields, Not: op == expr.CmpOpNeq}
	switch {
	case (o.fields[0] == FieldState || o.fields[0] == FieldStatus) && zero(data) && len(o.mask) == 4:
		s.Not, s.Any = op == expr.CmpOpEq, bitCases(binary.NativeEndian.Uint32(o.mask))
	case contiguous(o.mask) && len(data) == len(o.mask):
		last := slices.Clone(data)
		for i := range last {
			last[i] |= ^o.mask[i]
		}
		s.Any = []Case{{Intervals: split(o.fields, data, last)}}
	default:
		s.Not, s.Unknown = false, true
	}
	return s
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
	intervals := make([]Interval, 0, len(fields))
	for i, f := range fields {
		size := min(fieldSizes[f], len(from), len(to))
		v := Interval{from[:size], to[:size]}
		if len(fields) > 1 {
			from, to = from[size:], to[size:]
		}
		if n := fieldSizes[f] - size; n > 0 && i == len(fields)-1 {
			v.From = append(slices.Clone(v.From), make([]byte, n)...)
			v.To = append(slices.Clone(v.To), bytes.Repeat([]byte{0xff}, n)...)
		}
		intervals = append(intervals, v.ordered(f))
	}
	return intervals
}

// ordered turns a number that the kernel has in its own byte order.
func (v Interval) ordered(field string) Interval {
	switch field {
	case FieldState, FieldStatus, FieldIIf, FieldOIf, FieldDestType:
		if len(v.From) == 4 && len(v.To) == 4 {
			turn := func(b []byte) []byte { return binary.BigEndian.AppendUint32(nil, binary.NativeEndian.Uint32(b)) }
			return Interval{turn(v.From), turn(v.To)}
		}
	}
	return v
}

func (d *tracer) bitwise(a attrs) {
	o := d.regs[register(a.get(1))]
	mask, xor := a.get(4).get(unix.NFTA_DATA_VALUE), a.get(5).get(unix.NFTA_DATA_VALUE)
	if a.get(nftaBitwiseOp).number() != 0 || len(o.fields) != 1 || o.mask != nil || !zero(xor) {
		d.regs[register(a.get(2))] = operands{fields: []string{"bits"}}
		return
	}
	o.mask = mask
	d.regs[register(a.get(2))] = o
}
