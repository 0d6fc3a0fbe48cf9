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
