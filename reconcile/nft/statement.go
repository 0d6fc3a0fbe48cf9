package nft

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

func (d *decompiler) nat(e *expr.NAT) {
	text := map[expr.NATType]string{expr.NATTypeSourceNAT: "snat", expr.NATTypeDestNAT: "dnat"}[e.Type]
	if e.Family != unix.NFPROTO_IPV4 {
		text += fmt.Sprintf(" family %d", e.Family)
	}
	if e.Prefix {
		text += " prefix"
	}
	_, given := d.regs[e.RegProtoMin]
	joined := e.RegAddrMin == registers[0] && e.RegProtoMin == registers[1] && !given // both are of one map's value
	if joined {
		text += " ip"
	}
	text += " to "
	if e.RegAddrMin != 0 {
		text += d.interval(e.RegAddrMin, e.RegAddrMax, addressText)
	}
	if e.RegProtoMin != 0 && !joined {
		text += ":" + d.interval(e.RegProtoMin, e.RegProtoMax, portText)
	}
	for _, f := range []struct {
		set  bool
		name string
	}{{e.Random, "random"}, {e.FullyRandom, "fully-random"}, {e.Persistent, "persistent"}} {
		if f.set {
			text += " " + f.name
		}
	}
	d.say("%s", text)
}

// option is a statement or a load about a TCP option or IPv6 extension header.
func (d *decompiler) option(e *expr.Exthdr) {
	name := fmt.Sprintf("exthdr %d option %d @%d,%d", e.Op, e.Type, e.Offset*8, e.Len*8)
	text := hex
	if e.Op == expr.ExthdrOpTcpopt && e.Type == unix.TCP_MAXSEG && e.Offset == 2 && e.Len == 2 {
		name, text = "tcp option maxseg size", portText
	}
	if e.Flags != 0 {
		name += fmt.Sprintf(" flags %d", e.Flags)
	}
	if e.SourceRegister == 0 {
		d.put(e.DestRegister, operand{text: name, value: text})
		return
	}
	o := d.get(e.SourceRegister)
	if o.data != nil {
		o.text = text(o.data)
	}
	d.say("%s set %s", name, o.text)
}

func (d *decompiler) objref(e *expr.Objref) {
	if e.Type == unix.NFT_OBJECT_CT_TIMEOUT {
		d.say("ct timeout set %q", e.Name)
		return
	}
	d.say("object of type %d %q", e.Type, e.Name)
}

func (d *decompiler) reject(e *expr.Reject) {
	switch {
	case e.Type == unix.NFT_REJECT_TCP_RST:
		d.say("reject with tcp reset")
	case e.Type == unix.NFT_REJECT_ICMP_UNREACH && rejects[e.Code] != "":
		d.say("reject with icmp %s", rejects[e.Code])
	default:
		d.say("reject with type %d code %d", e.Type, e.Code)
	}
}

// key is what the registers hold, from the one given on.
func (d *decompiler) key(first uint32) string {
	if first != registers[0] {
		return maskText(d.get(first))
	}
	var key []string
	for i, r := range registers {
		o, held := d.regs[r]
		if i > 0 && !(held && o.unread) {
			break
		}
		o = d.get(r)
		if i > 0 && len(o.data) == 2 {
			o.text = portText(o.data)
		}
		key = append(key, maskText(o))
	}
	return strings.Join(key, " . ")
}

func (d *decompiler) limit(e *expr.Limit) {
	over, kind := "", "packets"
	if e.Over {
		over = "over "
	}
	if e.Type != expr.LimitTypePkts {
		kind = "bytes"
	}
	d.say("limit rate %s%d/%s burst %d %s", over, e.Rate, time.Duration(e.Unit)*time.Second, e.Burst, kind)
}

func (d *decompiler) dynset(e *expr.Dynset) {
	text := fmt.Sprintf("%s @%s { %s", map[uint32]string{0: "add", 1: "update", 2: "delete"}[e.Operation], e.SetName, d.key(e.SrcRegKey))
	for _, inner := range e.Exprs {
		if limit, ok := inner.(*expr.Connlimit); ok {
			text += " ct count "
			if limit.Flags&expr.NFT_CONNLIMIT_F_INV != 0 {
				text += "over "
			}
			text += fmt.Sprint(limit.Count)
			continue
		}
		text += fmt.Sprintf(" # unknown expression %T", inner)
	}
	if e.SrcRegData != 0 || e.Timeout != 0 || e.Invert {
		text += fmt.Sprintf(" # data %d timeout %s invert %v", e.SrcRegData, e.Timeout, e.Invert)
	}
	d.say("%s }", text)
}

func (d *decompiler) numgen(e *expr.Numgen) {
	kind := map[uint32]string{unix.NFT_NG_INCREMENTAL: "inc", unix.NFT_NG_RANDOM: "random"}[e.Type]
	d.put(e.Register, operand{text: fmt.Sprintf("numgen %s mod %d offset %d", kind, e.Modulus, e.Offset), value: hostNumber})
}
