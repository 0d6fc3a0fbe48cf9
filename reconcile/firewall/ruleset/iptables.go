package ruleset

import (
	"encoding/binary"
	"slices"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nlmsg"
)

// extension decodes what iptables-nft takes from iptables' own modules: a rule's "match" and "target".
func (d *tracer) extension(kind string, a nlmsg.Value) {
	name, revision, data := a.Get(1).Text(), uint32(a.Get(2).Number()), []byte(a.Get(3))
	switch {
	case kind == "target":
		d.target(name, data)
		return
	case d.small(name, revision, data):
		return
	}
	// With the family IPv6 it decodes addresses of any length.
	info, err := xt.Unmarshal(name, unix.NFPROTO_IPV6, revision, data)
	if err != nil {
		d.unknown("match " + name)
		return
	}
	switch m := info.(type) {
	case *xt.Comment:
	case *xt.ConntrackMtinfo2:
		d.conntrack(m)
	case *xt.ConntrackMtinfo3:
		d.conntrack(&m.ConntrackMtinfo2)
	case *xt.AddrTypeV1:
		d.addrtype(m)
	case *xt.Tcp:
		if m.Option != 0 {
			d.unknown("match tcp")
			return
		}
		if m.FlagsMask != 0 {
			d.flags(m.FlagsMask, m.FlagsCmp, m.InvFlags&xt.TcpInvFlags != 0)
		}
		d.ports(m.SrcPorts, m.InvFlags&xt.TcpInvSrcPorts != 0, m.DstPorts, m.InvFlags&xt.TcpInvDestPorts != 0)
	case *xt.Udp:
		d.ports(m.SrcPorts, m.InvFlags&xt.UdpInvSrcPorts != 0, m.DstPorts, m.InvFlags&xt.UdpInvDestPorts != 0)
	default:
		d.unknown("match " + name)
	}
}

// small decodes what the library has not, and reports whether it could.
func (d *tracer) small(name string, revision uint32, data []byte) bool {
	one := func(field string, b byte, not bool) bool {
		d.test([]string{field}, not, []byte{b}, []byte{b})
		return true
	}
	switch {
	case name == "multiport" && revision == 1 && len(data) >= 48:
		d.multiport(data)
		return true
	case (name == "mark" || name == "connmark") && revision == 1 && len(data) >= 9: // struct xt_mark_mtinfo1
		field := map[string]string{"mark": FieldMark, "connmark": FieldCtMark}[name]
		d.masked(operands{fields: []string{field}, mask: data[4:8]}, map[bool]expr.CmpOp{false: expr.CmpOpEq, true: expr.CmpOpNeq}[data[8] != 0], slices.Clone(data[:4]))
		return true
	case name == "icmp6" && len(data) >= 4 && data[1] == 0 && data[2] == 0xff: // struct ip6t_icmp, every code
		return one(FieldICMPType, data[0], data[3] != 0)
	case name == "hl" && len(data) >= 2 && data[0] <= 1: // struct ip6t_hl_info: equal or not
		return one(FieldHopLimit, data[1], data[0] == 1)
	case name == "pkttype" && len(data) >= 8: // struct xt_pkttype_info
		return one(FieldPacketType, byte(binary.NativeEndian.Uint32(data)), binary.NativeEndian.Uint32(data[4:]) != 0)
	case name == "rpfilter" && len(data) >= 1: // struct xt_rpfilter_info
		const invert = 1 << 3
		return one(FieldBack, 0, data[0]&invert == 0)
	}
	return false
}

// StateDNAT is what iptables calls a state of a connection whose destination was translated. nf_tables has no such state.
const StateDNAT = 1 << 7

// conntrack is a test of the states that iptables and nf_tables have the same numbers for.
func (d *tracer) conntrack(m *xt.ConntrackMtinfo2) {
	const statesOfBoth = 0xf
	if xt.ConntrackFlags(m.MatchFlags)&^xt.ConntrackStateAlias != xt.ConntrackState || m.StateMask&^(statesOfBoth|StateDNAT) != 0 {
		d.unknown("match conntrack")
		return
	}
	not := xt.ConntrackFlags(m.InvertFlags)&xt.ConntrackState != 0
	d.steps = append(d.steps, Step{Fields: []string{FieldState}, Any: bitCases(uint32(m.StateMask)), Not: not})
}

func (d *tracer) addrtype(m *xt.AddrTypeV1) {
	const invertDest = 2
	if m.Source != 0 || m.Flags > invertDest {
		d.unknown("match addrtype")
		return
	}
	cases := []Case{}
	for kind := range uint32(16) {
		if b := binary.BigEndian.AppendUint32(nil, kind); m.Dest>>kind&1 != 0 {
			cases = append(cases, Case{Intervals: []Interval{{b, b}}})
		}
	}
	d.steps = append(d.steps, Step{Fields: []string{FieldDestType}, Any: cases, Not: m.Flags&invertDest != 0})
}

// ports are what iptables before 1.8.8 makes no expressions of nf_tables of. The rule has matched the protocol already.
func (d *tracer) ports(src [2]uint16, notSrc bool, dst [2]uint16, notDst bool) {
	for _, p := range []struct {
		field  string
		ranges [2]uint16
		not    bool
	}{{FieldSport, src, notSrc}, {FieldDport, dst, notDst}} {
		if p.ranges != [2]uint16{0, 0xffff} || p.not {
			d.steps = append(d.steps, Step{Fields: []string{p.field}, Any: []Case{portCase(p.ranges[0], p.ranges[1])}, Not: p.not})
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
