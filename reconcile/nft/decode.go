package nft

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// newExpression returns the type that holds an expression of that name in full, nil for the others.
func newExpression(name string, data []byte) expr.Any {
	a, err := parse(data)
	if err != nil {
		return nil
	}
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
		if a[unix.NFTA_OBJREF_IMM_TYPE] != nil {
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
		if a.number(nftaBitwiseOp) == 0 {
			return &expr.Bitwise{}
		}
	case "immediate":
		if a.number(unix.NFTA_IMMEDIATE_DREG) == unix.NFT_REG_VERDICT {
			return &expr.Verdict{}
		}
		return &expr.Immediate{}
	}
	return nil
}

// nftaBitwiseOp is not in package unix.
const nftaBitwiseOp = 6

// element decodes an element. A set may have many: no map of attributes is made for each.
func element(b []byte) (Element, error) {
	var e Element
	list, err := netlink.UnmarshalAttributes(b)
	if err != nil {
		return e, err
	}
	for _, a := range list {
		switch a.Type &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER) {
		case unix.NFTA_SET_ELEM_KEY:
			e.Key, err = e.value(a.Data)
		case unix.NFTA_SET_ELEM_DATA:
			e.Value, err = e.value(a.Data)
		case unix.NFTA_SET_ELEM_FLAGS:
			if !zero(a.Data) {
				e.foreign("flags %s", hex(a.Data))
			}
		case unix.NFTA_SET_ELEM_TIMEOUT:
			e.foreign("timeout %s", time.Duration(binary.BigEndian.Uint64(a.Data))*time.Millisecond)
		case unix.NFTA_SET_ELEM_OBJREF:
			e.foreign("object %s", unix.ByteSliceToString(a.Data))
		case unix.NFTA_SET_ELEM_EXPR, nftaSetElemKeyEnd, nftaSetElemExpressions:
			e.foreign("attribute %d %s", a.Type, hex(a.Data))
		}
		if err != nil {
			return e, err
		}
	}
	return e, nil
}

// value decodes a key or a value, which is bytes or a verdict.
func (e *Element) value(b []byte) ([]byte, error) {
	list, err := netlink.UnmarshalAttributes(b)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	if list[0].Type&^unix.NLA_F_NESTED != unix.NFTA_DATA_VALUE {
		e.foreign("verdict %s", hex(list[0].Data))
		return nil, nil
	}
	return list[0].Data, nil
}

func (e *Element) foreign(format string, args ...any) {
	if e.Foreign == "" {
		e.Foreign = "#"
	}
	e.Foreign += " " + fmt.Sprintf(format, args...)
}

// These are not in package unix either.
const (
	nftaSetElemKeyEnd      = 10
	nftaSetElemExpressions = 11
)
