package ruleset

import (
	"fmt"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nlmsg"
)

// Fields that can be decided for a known packet. Numbers are in network byte order.
const (
	FieldIIfName  = "iifname"
	FieldOIfName  = "oifname"
	FieldIIf      = "iif"
	FieldOIf      = "oif"
	FieldNFProto  = "nfproto"
	FieldL4Proto  = "l4proto"
	FieldState    = "ct state"
	FieldStatus   = "ct status"
	FieldSaddr    = "ip saddr"
	FieldDaddr    = "ip daddr"
	FieldSaddr6   = "ip6 saddr"
	FieldDaddr6   = "ip6 daddr"
	FieldSport    = "sport"
	FieldDport    = "dport"
	FieldDestType = "fib daddr type"
	FieldTCPFlags = "tcp flags"
	FieldICMPType = "icmp type"
	FieldHopLimit = "hop limit"
	FieldMark     = "meta mark"
	FieldCtMark   = "ct mark"
	FieldIPsec    = "meta ipsec"
	// FieldPacketType is 0 of a packet to this machine alone.
	FieldPacketType = "meta pkttype"
	// FieldBack is the interface of the route back to the source; 0 if there is none.
	FieldBack = "fib saddr oif"
)

// OfSome reports whether a test that cannot be decided is passed by few packets: those of one host, such as one that is
// banned, or with an extension header or option.
func OfSome(field string) bool {
	switch field {
	case FieldSaddr, FieldDaddr, FieldSaddr6, FieldDaddr6, FieldSport, FieldDport, "ether", "match set", "match iprange", "match mac", "match geoip", "match string",
		"exthdr", "match rt", "match frag", "match hbh", "match dst", "match ipv6header", "match ah", "match esp":
		return true
	}
	return false
}

// UsuallyZero reports whether a field of a usual packet is 0: no mark, no IPsec, sent to this machine alone.
func UsuallyZero(field string) bool {
	return field == FieldMark || field == FieldCtMark || field == FieldIPsec || field == FieldPacketType
}

var fieldSizes = map[string]int{
	FieldIIfName: 16, FieldOIfName: 16, FieldIIf: 4, FieldOIf: 4, FieldNFProto: 1, FieldL4Proto: 1, FieldState: 4, FieldStatus: 4,
	FieldSaddr: 4, FieldDaddr: 4, FieldSaddr6: 16, FieldDaddr6: 16, FieldDestType: 4,
	FieldSport: 2, FieldDport: 2, FieldTCPFlags: 1, FieldICMPType: 1, FieldHopLimit: 1,
	FieldMark: 4, FieldCtMark: 4, FieldIPsec: 1, FieldPacketType: 1, FieldBack: 1,
}

// A tracer runs a rule with names of fields in its registers instead of values.
type tracer struct {
	*survey
	chain Chain
	steps []Step
	regs  [16]operands // of four bytes each
	err   error
}

// operands are what was loaded into consecutive registers.
type operands struct {
	fields []string
	mask   []byte
}

// matters reports whether the rule does anything: one that only counts or logs is not kept.
func (d *tracer) matters() bool {
	return slices.ContainsFunc(d.steps, func(s Step) bool { return s.Do != "" })
}

func (d *tracer) do(what, to string) { d.steps = append(d.steps, Step{Do: what, To: to}) }

func (d *tracer) unknown(field string) {
	d.steps = append(d.steps, Step{Fields: []string{field}, Unknown: true})
}

func (d *tracer) expression(name, a nlmsg.Value) {
	switch name.Text() {
	case "counter", "log", "objref", "last", "dup", "fwd", "synproxy", "secmark":
	case "meta":
		d.load(a.Get(1), a.Get(3), metaField(a.Get(2).Number()))
	case "ct":
		d.load(a.Get(1), a.Get(4), ctField(a.Get(2).Number()))
	case "fib":
		// The second attribute is the result, the third what is asked about.
		field, about := "fib", a.Get(3).Number()&(unix.NFTA_FIB_F_SADDR|unix.NFTA_FIB_F_DADDR)
		switch by := a.Get(2).Number() == unix.NFT_FIB_RESULT_ADDRTYPE; {
		case by && about == unix.NFTA_FIB_F_DADDR:
			field = FieldDestType
		case !by && about == unix.NFTA_FIB_F_SADDR:
			field = FieldBack
		}
		d.load(a.Get(1), nil, field)
	case "payload":
		d.load(a.Get(1), a.Get(5), d.payload(a)...)
	case "bitwise":
		d.bitwise(a)
	case "cmp":
		d.cmp(a)
	case "range":
		d.between(a)
	case "lookup":
		d.lookup(a)
	case "immediate":
		if v := a.Get(2).Get(unix.NFTA_DATA_VERDICT); v != nil {
			d.do(verdictOf(v))
		}
	case "match", "target":
		d.extension(name.Text(), a)
	default:
		d.statement(name, a)
	}
}

func (d *tracer) statement(name, a nlmsg.Value) {
	switch name.Text() {
	case "reject":
		d.do(DoReject, "")
	case "masq":
		d.do(DoMasquerade, "")
	case "nat":
		if a.Get(1).Number() == unix.NFT_NAT_SNAT {
			d.do(DoSNAT, "")
		} else {
			d.do(DoDNAT, "")
		}
	case "redir":
		d.do(DoDNAT, "")
	case "queue", "tproxy":
		d.do(DoAccept, "") // a program decides
	case "notrack":
		d.do(DoNoTrack, "")
	case "flow_offload":
		d.do(DoFlow, a.Get(1).Text())
	case "limit", "quota", "connlimit":
		d.unknown(name.Text())
	case "dynset":
		if a.Get(unix.NFTA_DYNSET_EXPR) != nil || a.Get(nftaDynsetExpressions) != nil {
			d.unknown("meter")
		}
	default:
		// Whatever it loads, and wherever to, it is not known here.
		for i := range d.regs {
			d.regs[i] = operands{fields: []string{name.Text()}}
		}
	}
}

const nftaDynsetExpressions = 10

// verdictOf is what a verdict does, and to what chain.
func verdictOf(v nlmsg.Value) (do, to string) {
	switch code := int32(v.Get(unix.NFTA_VERDICT_CODE).Number()); {
	case code == unix.NFT_JUMP:
		return DoJump, v.Get(unix.NFTA_VERDICT_CHAIN).Text()
	case code == unix.NFT_GOTO:
		return DoGoto, v.Get(unix.NFTA_VERDICT_CHAIN).Text()
	case code == unix.NFT_RETURN:
		return DoReturn, ""
	case code == 0:
		return DoDrop, ""
	case code > 0: // accepted, queued
		return DoAccept, ""
	}
	return "continue", ""
}

func metaField(key uint64) string {
	const secpath = 25 // NFT_META_SECPATH
	switch expr.MetaKey(key) {
	case expr.MetaKeyIIFNAME:
		return FieldIIfName
	case expr.MetaKeyOIFNAME:
		return FieldOIfName
	case expr.MetaKeyIIF:
		return FieldIIf
	case expr.MetaKeyOIF:
		return FieldOIf
	case expr.MetaKeyNFPROTO:
		return FieldNFProto
	case expr.MetaKeyL4PROTO:
		return FieldL4Proto
	case expr.MetaKeyMARK:
		return FieldMark
	case expr.MetaKeyPKTTYPE:
		return FieldPacketType
	case secpath:
		return FieldIPsec
	}
	return fmt.Sprintf("meta %d", key)
}

func ctField(key uint64) string {
	switch expr.CtKey(key) {
	case expr.CtKeySTATE:
		return FieldState
	case expr.CtKeySTATUS:
		return FieldStatus
	case expr.CtKeyMARK:
		return FieldCtMark
	}
	return fmt.Sprintf("ct %d", key)
}

// payload names the parts of a header. iptables loads no more of an address than the prefix has, and nft two addresses
// at once that it compares both.
func (d *tracer) payload(a nlmsg.Value) []string {
	base, offset, length := a.Get(2).Number(), a.Get(3).Number(), a.Get(4).Number()
	if expr.PayloadBase(base) != expr.PayloadBaseNetworkHeader {
		return otherHeader(base, offset, length)
	}
	type place struct{ offset, length uint64 }
	p := place{offset, length}
	if d.chain.Family != "ip6" {
		switch {
		case p == place{9, 1}:
			return []string{FieldL4Proto}
		case p == place{12, 8}:
			return []string{FieldSaddr, FieldDaddr}
		case offset == 12 && length <= 4:
			return []string{FieldSaddr}
		case offset == 16 && length <= 4 && !d.is6():
			return []string{FieldDaddr}
		}
	}
	switch {
	case p == place{6, 1}:
		return []string{FieldL4Proto}
	case p == place{7, 1}:
		return []string{FieldHopLimit}
	case p == place{8, 32}:
		return []string{FieldSaddr6, FieldDaddr6}
	case offset == 8 && length <= 16:
		return []string{FieldSaddr6}
	case offset == 24 && length <= 16:
		return []string{FieldDaddr6}
	}
	return []string{"header"}
}

// otherHeader names the ports, and for a reader of the rule the link layer.
func otherHeader(base, offset, length uint64) []string {
	if expr.PayloadBase(base) == expr.PayloadBaseLLHeader {
		return []string{"ether"}
	}
	if expr.PayloadBase(base) == expr.PayloadBaseTransportHeader {
		switch [2]uint64{offset, length} {
		case [2]uint64{0, 2}:
			return []string{FieldSport}
		case [2]uint64{2, 2}:
			return []string{FieldDport}
		case [2]uint64{0, 4}:
			return []string{FieldSport, FieldDport}
		case [2]uint64{0, 1}:
			return []string{FieldICMPType}
		case [2]uint64{13, 1}:
			return []string{FieldTCPFlags}
		}
	}
	return []string{"header"}
}

// is6 reports whether the rule has matched IPv6.
func (d *tracer) is6() bool {
	return slices.ContainsFunc(d.steps, func(s Step) bool {
		return slices.Equal(s.Fields, []string{FieldNFProto}) && len(s.Any) == 1 && !s.Not && s.Any[0].Intervals[0].To[0] == unix.NFPROTO_IPV6
	})
}

// register is where a register's number points to: 1 to 4 are of sixteen bytes, those from 8 on of four.
func register(n nlmsg.Value) int {
	switch r := int(n.Number()); {
	case r >= 1 && r <= 4:
		return (r - 1) * 4
	case r >= 8 && r < 24:
		return r - 8
	}
	return 0
}

func (d *tracer) load(to, from nlmsg.Value, fields ...string) {
	if to == nil || from != nil {
		return // The packet is set, not looked at.
	}
	d.regs[register(to)] = operands{fields: fields}
}
