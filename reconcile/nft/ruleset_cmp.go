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
	if known(o.fields) && o.mask == nil && (op == expr.CmpOpEq || op == expr.CmpOpNeq) {
		d.steps = append(d.steps, Step{Fields: o.fields, Not: op == expr.CmpOpNeq, Any: d.equal(o.fields, data)})
		return
	}
	data = d.bytes.copy(data...)
	switch not := op == expr.CmpOpNeq; {
	case !known(o.fields):
		d.steps = append(d.steps, Step{Fields: o.fields, Not: not, Unknown: true})
	case o.mask != nil:
		d.masked(o, op, data)
	case op == expr.CmpOpGte:
		d.test(o.fields, false, data, bytes.Repeat([]byte{0xff}, len(data)))
	case op == expr.CmpOpLte:
		d.test(o.fields, false, make([]byte, len(data)), data)
	default:
		d.steps = append(d.steps, Step{Fields: o.fields, Unknown: true})
	}
}

func (d *tracer) between(a attrs) {
	o, not := d.regs[register(a.get(1))], expr.CmpOp(a.get(2).number()) == expr.CmpOpNeq
	if !known(o.fields) || o.mask != nil {
		d.steps = append(d.steps, Step{Fields: o.fields, Not: not, Unknown: true})
		return
	}
	d.test(o.fields, not, d.bytes.copy(a.get(3).get(unix.NFTA_DATA_VALUE)...), d.bytes.copy(a.get(4).get(unix.NFTA_DATA_VALUE)...))
}

// test tests for one interval.
func (d *tracer) test(fields []string, not bool, from, to []byte) {
	d.steps = append(d.steps, Step{Fields: fields, Not: not, Any: d.cases.copy(Case{Intervals: d.split(fields, from, to)})})
}

func known(fields []string) bool {
	return len(fields) > 0 && !slices.ContainsFunc(fields, func(f string) bool { return fieldSizes[f] == 0 })
}

// masked is a test for some bits: a prefix of an address, or any of several states.
func (d *tracer) masked(o operands, op expr.CmpOp, data []byte) {
	switch {
	case (o.fields[0] == FieldState || o.fields[0] == FieldStatus) && zero(data) && len(o.mask) == 4:
		d.steps = append(d.steps, Step{Fields: o.fields, Not: op == expr.CmpOpEq, Any: bitCases(binary.NativeEndian.Uint32(o.mask))})
	case contiguous(o.mask) && len(data) == len(o.mask):
		last := d.bytes.copy(data...)
		for i := range last {
			last[i] |= ^o.mask[i]
		}
		d.test(o.fields, op == expr.CmpOpNeq, data, last)
	default:
		d.steps = append(d.steps, Step{Fields: o.fields, Unknown: true})
	}
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
func (s *slabs) split(fields []string, from, to []byte) []Interval {
	intervals := s.intervals.take(len(fields))
	for i, f := range fields {
		size := min(fieldSizes[f], len(from), len(to))
		v := Interval{from[:size], to[:size]}
		if len(fields) > 1 {
			from, to = from[size:], to[size:]
		}
		if whole := fieldSizes[f]; size < whole && i == len(fields)-1 {
			both := s.bytes.take(2 * whole)
			v = Interval{both[:whole], both[whole:]}
			copy(v.From, from)
			for n := copy(v.To, to); n < whole; n++ {
				v.To[n] = 0xff
			}
		}
		intervals[i] = s.ordered(v, f)
	}
	return intervals
}

// ordered turns a number that the kernel has in its own byte order.
func (s *slabs) ordered(v Interval, field string) Interval {
	switch field {
	case FieldState, FieldStatus, FieldIIf, FieldOIf, FieldDestType:
		if len(v.From) == 4 && len(v.To) == 4 {
			turned := s.bytes.take(8)
			binary.BigEndian.PutUint32(turned, binary.NativeEndian.Uint32(v.From))
			binary.BigEndian.PutUint32(turned[4:], binary.NativeEndian.Uint32(v.To))
			return Interval{turned[:4], turned[4:]}
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
