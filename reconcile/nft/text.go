package nft

import (
	"bytes"
	"fmt"
	"math/bits"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// unknown is an expression of which only the kernel's bytes are known.
type unknown struct {
	expr.Any
	name string
	data []byte
}

// String is the rule in the syntax of nft(8).
func (r Rule) String() string {
	d := decompiler{regs: map[uint32]operand{}}
	for _, e := range r {
		d.expression(e)
	}
	for n := range uint32(32) {
		d.forget(n)
	}
	return strings.Join(d.words, " ")
}

// An operand is what a register holds.
type operand struct {
	text   string
	value  func([]byte) string // renders what it is compared with
	mask   []byte              // bits of it that are left
	data   []byte              // of a constant
	unread bool
}

// A decompiler runs a rule with texts in its registers instead of values.
type decompiler struct {
	words []string
	regs  map[uint32]operand
	proto byte // the transport protocol matched so far
}

func (d *decompiler) say(format string, args ...any) {
	d.words = append(d.words, fmt.Sprintf(format, args...))
}

func (d *decompiler) put(n uint32, o operand) {
	d.forget(n)
	o.unread = true
	d.regs[n] = o
}

// forget adds what was loaded and not used: it would not show otherwise.
func (d *decompiler) forget(n uint32) {
	if o := d.regs[n]; o.unread {
		d.say("(%s unused)", o.text)
	}
	delete(d.regs, n)
}

func (d *decompiler) get(n uint32) operand {
	o, ok := d.regs[n]
	if !ok {
		return operand{text: fmt.Sprintf("reg %d", n), value: hex}
	}
	o.unread = false
	d.regs[n] = o
	return o
}

func (d *decompiler) expression(e expr.Any) {
	switch e := e.(type) {
	case *expr.Meta:
		d.load(e, e.Register, e.SourceRegister)
	case *expr.Ct:
		d.load(e, e.Register, e.SourceRegister)
	case *expr.Payload:
		d.payload(e)
	case *expr.Immediate:
		d.put(e.Register, operand{text: hex(e.Data), data: e.Data, value: hex})
	case *expr.Bitwise:
		d.bitwise(e)
	case *expr.Cmp:
		d.cmp(e)
	case *expr.Range:
		o := d.get(e.Register)
		d.say("%s%s %s-%s", o.text, operator(e.Op), o.value(e.FromData), o.value(e.ToData))
	case *expr.Lookup:
		d.lookup(e)
	case *expr.Fib:
		d.load(e, e.Register, false)
	case *expr.Numgen:
		d.numgen(e)
	default:
		d.statement(e)
	}
}

func (d *decompiler) statement(e expr.Any) {
	switch e := e.(type) {
	case *expr.Verdict:
		d.say("%s", verdict(e))
	case *expr.Counter:
		d.say("counter")
	case *expr.Notrack:
		d.say("notrack")
	case *expr.NAT:
		d.nat(e)
	case *expr.Masq:
		d.say("masquerade")
	case *expr.Limit:
		d.limit(e)
	case *expr.Objref:
		d.objref(e)
	case *expr.Dynset:
		d.dynset(e)
	case *expr.Exthdr:
		d.option(e)
	case *expr.Reject:
		d.reject(e)
	case unknown:
		d.say("# unknown expression %s %s", e.name, hex(e.data))
	default:
		d.say("# unknown expression %T", e)
	}
}

func (d *decompiler) load(e expr.Any, register uint32, set bool) {
	f := fieldOf(e, d.proto)
	if set {
		d.say("%s set %s", f.Name, d.get(register).text)
		return
	}
	d.put(register, operand{text: f.Name, value: f.text})
}

func (d *decompiler) payload(e *expr.Payload) {
	f := fieldOf(e, d.proto)
	if e.OperationType == expr.PayloadLoad {
		d.put(e.DestRegister, operand{text: f.Name, value: f.text})
		return
	}
	o := d.get(e.SourceRegister)
	if o.data != nil {
		o.text = f.text(o.data)
	}
	d.say("%s set %s", f.Name, o.text)
	csum := uint32(0)
	if e.CsumType != expr.CsumTypeNone {
		csum = e.CsumOffset
	}
	switch {
	case csum == f.csum && e.CsumType <= expr.CsumTypeInet && e.CsumFlags == 0:
	case csum == 0:
		d.say("(no checksum)")
	case e.CsumType == expr.CsumTypeInet && e.CsumFlags == 0:
		d.say("(checksum at %d)", csum)
	default:
		d.say("(checksum at %d, type %d, flags %d)", csum, e.CsumType, e.CsumFlags)
	}
}

func (d *decompiler) bitwise(e *expr.Bitwise) {
	o := d.get(e.SourceRegister)
	switch {
	case !zero(e.Xor) || o.mask != nil:
		o = operand{text: fmt.Sprintf("%s & %s ^ %s", maskText(o), hex(e.Mask), hex(e.Xor)), value: hex}
	default:
		o.mask = e.Mask
	}
	delete(d.regs, e.SourceRegister)
	d.put(e.DestRegister, o)
}

func maskText(o operand) string {
	if o.mask == nil {
		return o.text
	}
	return o.text + " & " + hex(o.mask)
}

func (d *decompiler) cmp(e *expr.Cmp) {
	o := d.get(e.Register)
	length, prefix := prefixLength(o.mask)
	switch {
	case o.mask == nil:
		d.say("%s%s %s", o.text, operator(e.Op), o.value(e.Data))
		if (o.text == L4Proto.Name || o.text == IPProtocol.Name) && e.Op == expr.CmpOpEq && len(e.Data) == 1 {
			d.proto = e.Data[0]
		}
	case zero(e.Data) && e.Op == expr.CmpOpEq && !prefix:
		d.say("%s ! %s", o.text, o.value(o.mask))
	case zero(e.Data) && e.Op == expr.CmpOpNeq && !prefix:
		d.say("%s %s", o.text, o.value(o.mask))
	case prefix:
		d.say("%s%s %s/%d", o.text, operator(e.Op), o.value(e.Data), length)
	default:
		d.say("%s & %s%s %s", o.text, o.value(o.mask), operator(e.Op), o.value(e.Data))
	}
}

// prefixLength returns the length of an IPv4 prefix with that mask; false where the mask is not that of a prefix.
func prefixLength(mask []byte) (int, bool) {
	if len(mask) != 4 || mask[0]&0x80 == 0 {
		return 0, false
	}
	m := uint32(mask[0])<<24 | uint32(mask[1])<<16 | uint32(mask[2])<<8 | uint32(mask[3])
	n := bits.LeadingZeros32(^m)
	return n, m<<n == 0
}

func operator(op expr.CmpOp) string {
	return []string{"", " !=", " <", " <=", " >", " >="}[min(op, 5)]
}

func (d *decompiler) lookup(e *expr.Lookup) {
	key := d.key(e.SourceRegister)
	not := ""
	if e.Invert {
		not = " !="
	}
	switch {
	case !e.IsDestRegSet:
		d.say("%s%s @%s", key, not, e.SetName)
	case e.DestRegister == unix.NFT_REG_VERDICT:
		d.say("%s vmap @%s", key, e.SetName)
	default:
		d.put(e.DestRegister, operand{text: key + " map @" + e.SetName, value: hex})
	}
}

var verdicts = map[expr.VerdictKind]string{
	expr.VerdictAccept: "accept", expr.VerdictDrop: "drop", expr.VerdictReturn: "return", expr.VerdictContinue: "continue",
	expr.VerdictJump: "jump", expr.VerdictGoto: "goto", expr.VerdictQueue: "queue",
}

func verdict(e *expr.Verdict) string {
	word := verdicts[e.Kind]
	if word == "" {
		word = fmt.Sprintf("verdict %d", e.Kind)
	}
	return strings.TrimSpace(word + " " + e.Chain)
}

// interval renders the registers of a range, of which the kernel names the first twice when there is one value.
func (d *decompiler) interval(first, last uint32, text func([]byte) string) string {
	value := func(n uint32) string {
		if o := d.get(n); o.data != nil {
			return text(o.data)
		} else {
			return o.text
		}
	}
	low := value(first)
	if last == 0 || last == first || bytes.Equal(d.regs[first].data, d.get(last).data) {
		return low
	}
	return low + "-" + value(last)
}
