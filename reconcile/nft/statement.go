package nft

import (
	"fmt"

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
	text += " to "
	if e.RegAddrMin != 0 {
		text += d.interval(e.RegAddrMin, e.RegAddrMax, addressText)
	}
	if e.RegProtoMin != 0 {
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
