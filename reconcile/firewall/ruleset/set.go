package ruleset

import (
	"bytes"
	"slices"
	"sort"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nlmsg"
)

// maxLookups is of how many sets the elements are read. Sets of interfaces and states are few; a rule for each of
// thousands of addresses may have a set of its own, and nothing here is worth a thousand questions.
const maxLookups = 200

// setInfo is what has to be known of a set to read its elements.
type setInfo struct {
	keyLen    int
	interval  bool
	anonymous bool
}

// lookup makes a test of a look-up in a set.
func (d *tracer) lookup(a nlmsg.Value) {
	name, inverted := a.Get(1).Text(), a.Get(5).Number()&unix.NFT_LOOKUP_F_INV != 0
	at := register(a.Get(2))
	vmap := a.Get(3) != nil && a.Get(3).Number() == unix.NFT_REG_VERDICT
	if a.Get(3) != nil && !vmap {
		d.unknown(d.fieldAt(at))
		d.regs[register(a.Get(3))] = operands{fields: []string{"map"}}
		return
	}
	s := Step{Not: inverted, Fields: []string{d.fieldAt(at)}, Unknown: true}
	if vmap {
		s.Do = DoLookup
	}
	if cases, fields, ok := d.members(name, at, vmap); ok {
		s.Fields, s.Any, s.Unknown = fields, cases, !known(fields)
	}
	d.steps = append(d.steps, s)
}

func (d *tracer) fieldAt(register int) string {
	if o := d.regs[register]; len(o.fields) > 0 {
		return o.fields[0]
	}
	return "register"
}

// members reads the elements of a set that is looked up by the registers from at on. ok is false where they are not read.
func (d *tracer) members(set string, at int, vmap bool) (cases []Case, fields []string, ok bool) {
	if d.regs[at].mask != nil || d.asks >= maxLookups {
		return nil, nil, false
	}
	// Without a verdict only what can be decided is worth asking for.
	if !vmap && !known(d.regs[at].fields) {
		return nil, nil, false
	}
	d.asks++
	info, err := d.setInfo(set)
	if err != nil {
		d.err = err
		return nil, nil, false
	}
	for n := 0; n < info.keyLen && at < len(d.regs); {
		o := d.regs[at]
		if len(o.fields) == 0 || o.mask != nil {
			return nil, nil, false
		}
		size := 0
		for _, f := range o.fields {
			size += max(fieldSizes[f], 1)
		}
		fields = append(fields, o.fields...)
		n, at = n+(size+3)&^3, at+(size+3)/4
	}
	if !vmap && (!known(fields) || slices.ContainsFunc(fields, isAddress) && !info.anonymous) {
		return nil, nil, false // a named set of addresses may have a million
	}
	elements, err := d.elements(set)
	if err != nil {
		d.err = err
		return nil, nil, false
	}
	return info.cases(elements, fields), fields, true
}

func isAddress(field string) bool {
	return field == FieldSaddr || field == FieldDaddr || field == FieldSaddr6 || field == FieldDaddr6
}

func (d *tracer) setInfo(set string) (info setInfo, err error) {
	for a, err := range d.sets.Ask(unix.NFT_MSG_GETSET, 0, familyNumber(d.chain.Family), d.chain.Table, set) {
		if err != nil {
			return info, err
		}
		flags := a.Get(unix.NFTA_SET_FLAGS).Number()
		info = setInfo{
			keyLen:   int(a.Get(unix.NFTA_SET_KEY_LEN).Number()),
			interval: flags&unix.NFT_SET_INTERVAL != 0, anonymous: flags&unix.NFT_SET_ANONYMOUS != 0,
		}
	}
	return info, nil
}

// A member is an element as the kernel has it. In a set of intervals one begins an interval or, with end, is the first
// value behind one.
type member struct {
	key, keyEnd []byte
	end, rest   bool
	do, to      string
}

func (d *tracer) elements(set string) ([]member, error) {
	var all []member
	for a, err := range d.sets.Ask(unix.NFT_MSG_GETSETELEM, netlink.Dump, familyNumber(d.chain.Family), d.chain.Table, set) {
		if err != nil {
			return nil, err
		}
		for _, e := range a.Get(unix.NFTA_SET_ELEM_LIST_ELEMENTS).Attributes() {
			const intervalEnd, catchAll = 1, 2
			m := member{
				key:    slices.Clone(e.Get(unix.NFTA_SET_ELEM_KEY).Get(unix.NFTA_DATA_VALUE)),
				keyEnd: slices.Clone(e.Get(nftables.NFTA_SET_ELEM_KEY_END).Get(unix.NFTA_DATA_VALUE)),
			}
			flags := e.Get(unix.NFTA_SET_ELEM_FLAGS).Number()
			m.end, m.rest = flags&intervalEnd != 0, flags&catchAll != 0
			if v := e.Get(unix.NFTA_SET_ELEM_DATA).Get(unix.NFTA_DATA_VERDICT); v != nil {
				m.do, m.to = verdictOf(v)
			}
			all = append(all, m)
		}
	}
	return all, nil
}

// cases sorts elements into intervals; what is for all the rest comes last.
func (s setInfo) cases(elements []member, fields []string) []Case {
	sort.Slice(elements, func(i, j int) bool {
		a, b := elements[i], elements[j]
		n := bytes.Compare(a.key, b.key)
		return n < 0 || n == 0 && a.end && !b.end
	})
	cases, rest := []Case{}, []Case{}
	for i, m := range elements {
		switch {
		case m.rest:
			rest = append(rest, Case{Do: m.do, To: m.to})
			continue
		case m.end:
			continue
		}
		last := m.key
		switch {
		case len(m.keyEnd) > 0:
			last = m.keyEnd
		case s.interval && i+1 < len(elements):
			last = before(elements[i+1].key)
		case s.interval:
			last = bytes.Repeat([]byte{0xff}, len(m.key))
		}
		cases = append(cases, Case{Intervals: parts(fields, m.key, last), Do: m.do, To: m.to})
	}
	return append(cases, rest...)
}

// before is the value in front of one.
func before(b []byte) []byte {
	b = slices.Clone(b)
	for i := len(b) - 1; i >= 0; i-- {
		b[i]--
		if b[i] != 0xff {
			break
		}
	}
	return b
}

// parts gives each field its part of a key, in which each begins at a multiple of four bytes.
func parts(fields []string, from, to []byte) []Interval {
	intervals := make([]Interval, len(fields))
	for i, f := range fields {
		size := min(max(fieldSizes[f], 1), len(from), len(to))
		intervals[i] = split([]string{f}, from[:size], to[:size])[0]
		step := (size + 3) &^ 3
		from, to = from[min(step, len(from)):], to[min(step, len(to)):]
	}
	return intervals
}
