package nft

import (
	"net/netip"
	"reflect"
	"slices"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// A Rule is what the kernel runs: expressions that pass values through registers and stop at the first that fails.
type Rule []expr.Any

// NewRule puts matches and statements together, in order.
func NewRule(parts ...[]expr.Any) Rule {
	var r Rule
	for _, p := range parts {
		r = append(r, p...)
	}
	return r
}

// Verdicts and statements without parameters.
var (
	Accept = []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}}
	Drop   = []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}
	Return = []expr.Any{&expr.Verdict{Kind: expr.VerdictReturn}}
	// RejectProtocol answers with ICMP protocol unreachable.
	RejectProtocol = []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: 2}}
)

// Masquerade translates the source to the address that the packet's way out has.
var Masquerade = []expr.Any{&expr.Masq{}}

// Jump goes through another chain and comes back where that gives no verdict.
func Jump(chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}}
}

// Goto leaves the chain for another one for good.
func Goto(chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: chain}}
}

// Is matches packets where f has the value.
func Is(f Field, value []byte) []expr.Any { return compare(f, expr.CmpOpEq, value) }

// Not matches packets where f has another value.
func Not(f Field, value []byte) []expr.Any { return compare(f, expr.CmpOpNeq, value) }

func compare(f Field, op expr.CmpOp, value []byte) []expr.Any {
	return []expr.Any{f.load, &expr.Cmp{Op: op, Register: reg, Data: value}}
}

// In matches packets where f is within first and last.
func In(f Field, first, last []byte) []expr.Any {
	return []expr.Any{f.load, &expr.Range{Op: expr.CmpOpEq, Register: reg, FromData: first, ToData: last}}
}

// Has matches packets where f has any of the bits.
func Has(f Field, bits []byte) []expr.Any { return bitsOf(f, expr.CmpOpNeq, bits) }

// HasNone matches packets where f has none of the bits.
func HasNone(f Field, bits []byte) []expr.Any { return bitsOf(f, expr.CmpOpEq, bits) }

func bitsOf(f Field, op expr.CmpOp, bits []byte) []expr.Any {
	none := make([]byte, len(bits))
	return []expr.Any{
		f.load,
		&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: uint32(len(bits)), Mask: bits, Xor: none},
		&expr.Cmp{Op: op, Register: reg, Data: none},
	}
}

// Outside matches packets where the address f is not in the prefix.
func Outside(f Field, p netip.Prefix) []expr.Any { return contains(f, expr.CmpOpNeq, p) }

// Within matches packets where the address f is in the prefix.
func Within(f Field, p netip.Prefix) []expr.Any { return contains(f, expr.CmpOpEq, p) }

func contains(f Field, op expr.CmpOp, p netip.Prefix) []expr.Any {
	address := p.Masked().Addr().AsSlice()
	if p.IsSingleIP() {
		return compare(f, op, address)
	}
	mask := binaryutil.BigEndian.PutUint32(^uint32(0) << (32 - p.Bits()))
	return []expr.Any{
		f.load,
		&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: reg, Data: address},
	}
}

// Map sets f to what the map has for it and fixes the checksum that covers it; a packet whose f the map does not have
// does not match.
func Map(f Field, name string) []expr.Any {
	load := *f.load.(*expr.Payload)
	set := expr.Payload{
		OperationType: expr.PayloadWrite, SourceRegister: reg, Base: load.Base, Offset: load.Offset, Len: load.Len,
	}
	if f.csum != 0 {
		set.CsumType, set.CsumOffset = expr.CsumTypeInet, f.csum
	}
	return []expr.Any{f.load, &expr.Lookup{SourceRegister: reg, DestRegister: reg, IsDestRegSet: true, SetName: name}, &set}
}

// NoChecksum is f in a packet that carries no checksum.
func (f Field) NoChecksum() Field { f.csum = 0; return f }

// MaxSegmentSize lowers the TCP maximum segment size option; the kernel never raises it.
func MaxSegmentSize(size uint16) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: reg, Data: Port(size)},
		&expr.Exthdr{SourceRegister: reg, Type: unix.TCP_MAXSEG, Offset: 2, Len: 2, Op: expr.ExthdrOpTcpopt},
	}
}

// Lookup matches packets whose f is in the map, and leaves for DNATThere what that has.
func Lookup(f Field, name string) []expr.Any {
	return []expr.Any{f.load, &expr.Lookup{SourceRegister: reg, DestRegister: reg, IsDestRegSet: true, SetName: name}}
}

// DNATThere translates the destination to what a Lookup found: in a HostMap, or with ports in an EndpointMap.
func DNATThere(ports bool) []expr.Any {
	nat := &expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: reg}
	if ports {
		nat.RegProtoMin = registers[1]
	}
	return []expr.Any{nat}
}

// SNAT translates the source to the prefix and to ports from first to last. With a prefix longer than one address the
// host part of the address is kept.
func SNAT(to netip.Prefix, first, last uint16) []expr.Any {
	low, high := bounds(to)
	nat := &expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 3, RegProtoMax: 4}
	snat := []expr.Any{&expr.Immediate{Register: 1, Data: low}}
	if !to.IsSingleIP() {
		nat.RegAddrMax, nat.Prefix = 2, true
		snat = append(snat, &expr.Immediate{Register: 2, Data: high})
	}
	return append(snat, &expr.Immediate{Register: 3, Data: Port(first)}, &expr.Immediate{Register: 4, Data: Port(last)}, nat)
}

// bounds are the first and the last address of a prefix.
func bounds(p netip.Prefix) (first, last []byte) {
	first = p.Masked().Addr().AsSlice()
	last = slices.Clone(first)
	for i := p.Bits(); i < 32; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	return first, last
}

// Same reports whether both rules do the same. Counters do not matter. Texts are not compared: two rules may have the same
// text.
func (r Rule) Same(other Rule) bool {
	return reflect.DeepEqual(r.uncounted(), other.uncounted())
}

func (r Rule) uncounted() (rule Rule) {
	for _, e := range r {
		if _, counter := e.(*expr.Counter); !counter {
			rule = append(rule, e)
		}
	}
	return rule
}

// OnlyDrops reports whether a rule can do nothing to a packet but drop it: it loads and compares, and ends in that verdict.
// An expression that is not listed here may do anything.
func (r Rule) OnlyDrops() bool {
	rule := r.uncounted()
	if len(rule) == 0 {
		return false
	}
	last := len(rule) - 1
	for _, e := range rule[:last] {
		switch e := e.(type) {
		case *expr.Cmp, *expr.Range, *expr.Bitwise, *expr.Fib:
		case *expr.Meta:
			if e.SourceRegister {
				return false
			}
		case *expr.Ct:
			if e.SourceRegister {
				return false
			}
		case *expr.Payload:
			if e.OperationType != expr.PayloadLoad {
				return false
			}
		default:
			return false
		}
	}
	return Rule(rule[last:]).Same(NewRule(Drop))
}
