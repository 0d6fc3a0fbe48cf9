package nft

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// extension decodes what iptables-nft takes from iptables' own modules: a rule's "match" and "target".
func (d *tracer) extension(kind string, a attrs) {
	name, revision, info := a.get(1).text(), a.get(2).number(), []byte(a.get(3))
	if kind == "target" {
		d.target(name, info)
		return
	}
	const local = 1 << unix.RTN_LOCAL
	switch {
	case name == "comment":
	case name == "conntrack" && revision >= 2 && len(info) >= 154:
		d.conntrack(info)
	case name == "addrtype" && revision == 1 && len(info) >= 8:
		source, dest, flags := binary.NativeEndian.Uint16(info), binary.NativeEndian.Uint16(info[2:]), binary.NativeEndian.Uint32(info[4:])
		if source != 0 || dest != local || flags > 2 {
			d.unknown("match addrtype")
			return
		}
		b := []byte{0, 0, 0, unix.RTN_LOCAL}
		d.steps = append(d.steps, Step{Fields: []string{FieldDestType}, Any: []Case{{Intervals: []Interval{{b, b}}}}, Not: flags&2 != 0})
	case (name == "tcp" || name == "udp") && revision == 0 && len(info) >= 9:
		d.portMatch(name, info)
	case name == "multiport" && revision == 1 && len(info) >= 48:
		d.multiport(info)
	default:
		d.unknown("match " + name)
	}
}

// StateDNAT is what iptables calls a state of a connection whose destination was translated. nf_tables has no such state.
const StateDNAT = 1 << 7

// conntrack decodes the states that struct xt_conntrack_mtinfo2 and 3 ask for.
func (d *tracer) conntrack(info []byte) {
	const (
		state        = 1 << 0
		alias        = 1 << 13
		statesOfBoth = 0xf
	)
	asked, inverted := binary.NativeEndian.Uint16(info[146:]), binary.NativeEndian.Uint16(info[148:])
	mask := uint32(binary.NativeEndian.Uint16(info[150:]))
	if asked&^alias != state || mask&^(statesOfBoth|StateDNAT) != 0 {
		d.unknown("match conntrack")
		return
	}
	d.steps = append(d.steps, Step{Fields: []string{FieldState}, Any: bitCases(mask), Not: inverted&state != 0})
}

// portMatch decodes struct xt_tcp and xt_udp, of which iptables before 1.8.8 makes no expressions of nf_tables. The rule
// has matched the protocol already.
func (d *tracer) portMatch(name string, info []byte) {
	flags := info[8]
	if name == "tcp" {
		if len(info) < 12 || info[8] != 0 || info[9] != 0 || info[11]&^3 != 0 { // an option, or flags
			d.unknown("match tcp")
			return
		}
		flags = info[11]
	}
	for i, field := range []string{FieldSport, FieldDport} {
		from, to := binary.NativeEndian.Uint16(info[4*i:]), binary.NativeEndian.Uint16(info[4*i+2:])
		if not := flags&(1<<i) != 0; from > 0 || to < 0xffff || not {
			d.steps = append(d.steps, Step{Fields: []string{field}, Any: []Case{portCase(from, to)}, Not: not})
		}
	}
}

func portCase(from, to uint16) Case {
	return Case{Intervals: []Interval{{binary.BigEndian.AppendUint16(nil, from), binary.BigEndian.AppendUint16(nil, to)}}}
}

// multiport decodes struct xt_multiport_v1.
func (d *tracer) multiport(info []byte) {
	const most = 15
	field, count := map[byte]string{0: FieldSport, 1: FieldDport}[info[0]], int(info[1])
	if field == "" || count > most {
		d.unknown("match multiport")
		return
	}
	s := Step{Fields: []string{field}, Any: []Case{}, Not: info[2+2*most+most] != 0}
	for i := 0; i < count; i++ {
		port := func(i int) uint16 { return binary.NativeEndian.Uint16(info[2+2*i:]) }
		from := port(i)
		if info[2+2*most+i] != 0 && i+1 < count { // a range to the next one
			i++
		}
		s.Any = append(s.Any, portCase(from, port(i)))
	}
	d.steps = append(d.steps, s)
}

// target decodes iptables' targets that are more than a verdict. All others let the packet go on.
func (d *tracer) target(name string, info []byte) {
	const notrack = 3 // XT_CT_NOTRACK and its alias
	switch name {
	case "MASQUERADE":
		d.do(DoMasquerade, "")
	case "SNAT", "NETMAP":
		d.do(DoSNAT, "")
	case "DNAT", "REDIRECT":
		d.do(DoDNAT, "")
	case "REJECT":
		d.do(DoReject, "")
	case "NOTRACK":
		d.do(DoNoTrack, "")
	case "CT":
		if len(info) >= 2 && binary.NativeEndian.Uint16(info)&notrack != 0 {
			d.do(DoNoTrack, "")
		}
	case "NFQUEUE", "TPROXY":
		d.do(DoAccept, "")
	}
}
