package nft

import (
	"fmt"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Fields that somebody who knows a packet can decide about. Numbers are in network byte order.
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
)

var fieldSizes = map[string]int{
	FieldIIfName: 16, FieldOIfName: 16, FieldIIf: 4, FieldOIf: 4, FieldNFProto: 1, FieldL4Proto: 1, FieldState: 4, FieldStatus: 4,
	FieldSaddr: 4, FieldDaddr: 4, FieldSaddr6: 16, FieldDaddr6: 16, FieldDestType: 4,
	FieldSport: 2, FieldDport: 2,
}

// rules reads a chain's.
func (r *survey) rules(c ForeignChain) ([]ForeignRule, error) {
	var rules []ForeignRule
	d := &tracer{survey: r, chain: c}
	err := r.dump(unix.NFT_MSG_GETRULE, familyNumber(c.Family), func(_ uint8, a attrs) error {
		d.steps, d.regs = d.steps[:0], [16]operands{}
		rule := ForeignRule{}
		for n, b := range a.all() {
			switch n {
			case unix.NFTA_RULE_HANDLE:
				rule.Handle = b.number()
			case unix.NFTA_RULE_EXPRESSIONS:
				for _, e := range b.all() {
					d.expression(r.word(e.get(unix.NFTA_EXPR_NAME)), e.get(unix.NFTA_EXPR_DATA))
				}
			}
		}
		if d.matters() {
			rule.Steps = r.steps.copy(d.steps...)
			rules = append(rules, rule)
		}
		return d.err
	}, c.Table, c.Name)
	return rules, err
}

// only has each field that can be decided in a list of its own: there are many rules with the same few.
var only = func() map[string][]string {
	lists := map[string][]string{}
	for f := range fieldSizes {
		lists[f] = []string{f}
	}
	return lists
}()

// list is the list of one field.
func list(field string) []string {
	if l := only[field]; l != nil {
		return l
	}
	return []string{field}
}

// A tracer runs a rule with names for values.
type tracer struct {
	*survey
	chain ForeignChain
	steps []Step
	regs  [16]operands // of four bytes each
	err   error
}

// operands are what was loaded into consecutive registers.
type operands struct {
	fields []string
	mask   []byte
}

// matters says whether the rule does anything: most that only count or log need not be kept.
func (d *tracer) matters() bool {
	return slices.ContainsFunc(d.steps, func(s Step) bool { return s.Do != "" })
}

func (d *tracer) do(what, to string) { d.steps = append(d.steps, Step{Do: what, To: to}) }

func (d *tracer) unknown(field string) {
	d.steps = append(d.steps, Step{Fields: []string{field}, Unknown: true})
}

func (d *tracer) expression(name string, a attrs) {
	switch name {
	case "counter", "log", "objref", "last", "dup", "fwd", "synproxy", "secmark":
	case "meta":
		d.load(a.get(1), a.get(3), list(metaField(a.get(2).number())))
	case "ct":
		d.load(a.get(1), a.get(4), list(ctField(a.get(2).number())))
	case "fib":
		// The second attribute is the result, the third what is asked about.
		field := "fib"
		if a.get(2).number() == unix.NFT_FIB_RESULT_ADDRTYPE && a.get(3).number()&3 == unix.NFTA_FIB_F_DADDR {
			field = FieldDestType
		}
		d.load(a.get(1), nil, list(field))
	case "payload":
		d.load(a.get(1), a.get(5), d.payload(a))
	case "bitwise":
		d.bitwise(a)
	case "cmp":
		d.cmp(a)
	case "range":
		d.between(a)
	case "lookup":
		d.lookup(a)
	case "immediate":
		if v := a.get(2).get(unix.NFTA_DATA_VERDICT); v != nil {
			d.do(verdictOf(v))
		}
	case "match", "target":
		d.extension(name, a)
	default:
		d.statement(name, a)
	}
}

func (d *tracer) statement(name string, a attrs) {
	switch name {
	case "reject":
		d.do(DoReject, "")
	case "masq":
		d.do(DoMasquerade, "")
	case "nat":
		if a.get(1).number() == unix.NFT_NAT_SNAT {
			d.do(DoSNAT, "")
		} else {
			d.do(DoDNAT, "")
		}
	case "redir":
		d.do(DoDNAT, "")
	case "queue", "tproxy":
		d.do(DoAccept, "") // Somebody else decides.
	case "notrack":
		d.do(DoNoTrack, "")
	case "flow_offload":
		d.do(DoFlow, a.get(1).text())
	case "limit", "quota", "connlimit":
		d.unknown(name)
	case "dynset":
		if a.get(unix.NFTA_DYNSET_EXPR) != nil || a.get(nftaDynsetExpressions) != nil {
			d.unknown("meter")
		}
	default:
		// Whatever it loads, and wherever to, it is not known here.
		for i := range d.regs {
			d.regs[i] = operands{fields: []string{name}}
		}
	}
}

const nftaDynsetExpressions = 10

// verdictOf is what a verdict does, and to what chain.
func verdictOf(v attrs) (do, to string) {
	switch code := int32(v.get(unix.NFTA_VERDICT_CODE).number()); {
	case code == unix.NFT_JUMP:
		return DoJump, v.get(unix.NFTA_VERDICT_CHAIN).text()
	case code == unix.NFT_GOTO:
		return DoGoto, v.get(unix.NFTA_VERDICT_CHAIN).text()
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
		return "meta mark"
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
		return "ct mark"
	}
	return fmt.Sprintf("ct %d", key)
}

// payload names the parts of a header. iptables loads no more of an address than the prefix has, and nft two addresses
// at once that it compares both.
func (d *tracer) payload(a attrs) []string {
	base, offset, length := a.get(2).number(), a.get(3).number(), a.get(4).number()
	if expr.PayloadBase(base) != expr.PayloadBaseNetworkHeader {
		return otherHeader(base, offset, length)
	}
	type place struct{ offset, length uint64 }
	p := place{offset, length}
	if d.chain.Family != "ip6" {
		switch {
		case p == place{9, 1}:
			return only[FieldL4Proto]
		case p == place{12, 8}:
			return []string{FieldSaddr, FieldDaddr}
		case offset == 12 && length <= 4:
			return only[FieldSaddr]
		case offset == 16 && length <= 4 && !d.is6():
			return only[FieldDaddr]
		}
	}
	switch {
	case p == place{6, 1}:
		return only[FieldL4Proto]
	case p == place{8, 32}:
		return []string{FieldSaddr6, FieldDaddr6}
	case offset == 8 && length <= 16:
		return only[FieldSaddr6]
	case offset == 24 && length <= 16:
		return only[FieldDaddr6]
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
			return only[FieldSport]
		case [2]uint64{2, 2}:
			return only[FieldDport]
		case [2]uint64{0, 4}:
			return []string{FieldSport, FieldDport}
		}
	}
	return []string{"header"}
}

// is6 says whether the rule has matched IPv6.
func (d *tracer) is6() bool {
	return slices.ContainsFunc(d.steps, func(s Step) bool {
		return slices.Equal(s.Fields, []string{FieldNFProto}) && len(s.Any) == 1 && !s.Not && s.Any[0].Intervals[0].To[0] == unix.NFPROTO_IPV6
	})
}

// register is where a register's number points to: 1 to 4 are of sixteen bytes, those from 8 on of four.
func register(n attrs) int {
	switch r := int(n.number()); {
	case r >= 1 && r <= 4:
		return (r - 1) * 4
	case r >= 8 && r < 24:
		return r - 8
	}
	return 0
}

func (d *tracer) load(to, from attrs, fields []string) {
	if to == nil || from != nil {
		return // The packet is set, not looked at.
	}
	d.regs[register(to)] = operands{fields: fields}
}
