package nft

import (
	"fmt"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// A Part is one value of a key that has several.
type Part struct {
	load expr.Any // into register reg
}

// Value is a part of a key: what a packet has in f.
func (f Field) Value() Part { return Part{f.load} }

// Fixed is a part of a key: always this port.
func Fixed(port uint16) Part {
	return Part{&expr.Immediate{Register: reg, Data: Port(port)}}
}

// CountSet is a set whose elements count connections. Rules fill it, and the kernel removes connections that ended.
func CountSet(name string, key ...nftables.SetDatatype) Set {
	return Set{Name: name, Key: nftables.MustConcatSetType(key...), Dynamic: true}
}

// TimeSet is a set whose elements expire some time after a rule last put them in.
func TimeSet(name string, timeout time.Duration, key ...nftables.SetDatatype) Set {
	s := CountSet(name, key...)
	s.Timeout = timeout
	return s
}

// registers are those that hold the parts of a key, one behind the other; the kernel calls the first one so.
var registers = []uint32{unix.NFT_REG_1, unix.NFT_REG32_01, unix.NFT_REG32_02, unix.NFT_REG32_03}

// AtMost counts the packet's connection in the set under the key and matches when that makes n or fewer. The kernel does
// not count those that are closed, TIME-WAIT included.
func AtMost(set string, n uint32, key ...Part) []expr.Any {
	return count(set, expr.Connlimit{Count: n}, key)
}

// Over counts the same way and matches when there are more than n.
func Over(set string, n uint32, key ...Part) []expr.Any {
	return count(set, expr.Connlimit{Count: n, Flags: expr.NFT_CONNLIMIT_F_INV}, key)
}

func count(set string, limit expr.Connlimit, key []Part) []expr.Any {
	return append(load(key), &expr.Dynset{SrcRegKey: registers[0], SetName: set, Operation: unix.NFT_DYNSET_OP_ADD, Exprs: []expr.Any{&limit}})
}

// Put puts the key into a TimeSet, or renews its time there.
func Put(set string, key ...Part) []expr.Any {
	return append(load(key), &expr.Dynset{SrcRegKey: registers[0], SetName: set, Operation: unix.NFT_DYNSET_OP_UPDATE})
}

// InSet matches packets whose key is in the set.
func InSet(set string, key ...Part) []expr.Any {
	return append(load(key), &expr.Lookup{SourceRegister: registers[0], SetName: set})
}

func load(key []Part) []expr.Any {
	var all []expr.Any
	for i, p := range key {
		all = append(all, into(p.load, registers[i]))
	}
	return all
}

// into is an expression that works on another register than reg.
func into(e expr.Any, register uint32) expr.Any {
	switch e := e.(type) {
	case *expr.Payload:
		c := *e
		c.DestRegister = register
		return &c
	case *expr.Meta:
		c := *e
		c.Register = register
		return &c
	case *expr.Immediate:
		c := *e
		c.Register = register
		return &c
	}
	panic(fmt.Sprintf("nft: %T cannot be part of a key", e))
}

// OneIn matches one packet of n, at random.
func OneIn(n uint32) []expr.Any {
	return []expr.Any{
		&expr.Numgen{Register: reg, Type: unix.NFT_NG_RANDOM, Modulus: n},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: make([]byte, 4)},
	}
}

// Rate matches packets up to so many per second, after a burst.
func Rate(perSecond uint64, burst uint32) []expr.Any { return limit(perSecond, burst, false) }

// RateOver matches those beyond.
func RateOver(perSecond uint64, burst uint32) []expr.Any { return limit(perSecond, burst, true) }

func limit(rate uint64, burst uint32, over bool) []expr.Any {
	return []expr.Any{&expr.Limit{Type: expr.LimitTypePkts, Rate: rate, Unit: expr.LimitTimeSecond, Burst: burst, Over: over}}
}
