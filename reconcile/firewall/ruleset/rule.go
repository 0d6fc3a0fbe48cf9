package ruleset

import (
	"slices"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nlmsg"
)

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
