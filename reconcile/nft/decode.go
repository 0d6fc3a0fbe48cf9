package nft

import (
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nlmsg"
)

// newExpression returns the type that holds an expression of that name in full, nil for the others.
func newExpression(name string, a nlmsg.Value) expr.Any {
	switch name {
	case "meta":
		return &expr.Meta{}
	case "ct":
		return &expr.Ct{}
	case "payload":
		return &expr.Payload{}
	case "cmp":
		return &expr.Cmp{}
	case "range":
		return &expr.Range{}
	case "lookup":
		return &expr.Lookup{}
	case "nat":
		return &expr.NAT{}
	case "exthdr":
		return &expr.Exthdr{}
	case "reject":
		return &expr.Reject{}
	case "counter":
		return &expr.Counter{}
	case "objref":
		if a.Get(unix.NFTA_OBJREF_IMM_TYPE) != nil {
			return &expr.Objref{}
		}
	case "masq":
		if len(a) == 0 {
			return &expr.Masq{}
		}
	case "fib":
		return &expr.Fib{}
	case "limit":
		return &expr.Limit{}
	case "numgen":
		return &expr.Numgen{}
	case "dynset":
		return &expr.Dynset{}
	case "notrack":
		return &expr.Notrack{}
	case "bitwise":
		// The library knows masks only, not shifts.
		if a.Get(BitwiseOp).Number() == 0 {
			return &expr.Bitwise{}
		}
	case "immediate":
		if a.Get(unix.NFTA_IMMEDIATE_DREG).Number() == unix.NFT_REG_VERDICT {
			return &expr.Verdict{}
		}
		return &expr.Immediate{}
	}
	return nil
}

// BitwiseOp is NFTA_BITWISE_OP, which is not in package unix.
const BitwiseOp = 6
