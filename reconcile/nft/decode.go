package nft

import (
	"fmt"
	"time"

	"github.com/google/nftables/expr"
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

func element(b []byte) (Element, error) {
	a, err := parse(b)
	if err != nil {
		return Element{}, err
	}
	var e Element
	for _, part := range []struct {
		from uint16
		to   *[]byte
	}{{unix.NFTA_SET_ELEM_KEY, &e.Key}, {unix.NFTA_SET_ELEM_DATA, &e.Value}} {
		if a[part.from] == nil {
			continue
		}
		v, err := a.nested(part.from)
		if err != nil {
			return e, err
		}
		if *part.to = v[unix.NFTA_DATA_VALUE]; *part.to == nil {
			e.Foreign += fmt.Sprintf("verdict %s ", hex(v[unix.NFTA_DATA_VERDICT]))
		}
	}
	e.Foreign += elementRest(a)
	return e, nil
}

// elementRest is what an element has beyond key and value.
func elementRest(a attributes) string {
	s := ""
	if flags := a.number(unix.NFTA_SET_ELEM_FLAGS); flags != 0 {
		s += fmt.Sprintf("flags %d ", flags)
	}
	if timeout := a.number(unix.NFTA_SET_ELEM_TIMEOUT); timeout != 0 {
		s += fmt.Sprintf("timeout %s ", time.Duration(timeout)*time.Millisecond)
	}
	if a[unix.NFTA_SET_ELEM_OBJREF] != nil {
		s += fmt.Sprintf("object %s ", a.text(unix.NFTA_SET_ELEM_OBJREF))
	}
	for _, n := range []uint16{unix.NFTA_SET_ELEM_EXPR, nftaSetElemKeyEnd, nftaSetElemExpressions} {
		if a[n] != nil {
			s += fmt.Sprintf("attribute %d %s ", n, hex(a[n]))
		}
	}
	if s != "" {
		return "# " + s
	}
	return ""
}

// These are not in package unix either.
const (
	nftaSetElemKeyEnd      = 10
	nftaSetElemExpressions = 11
)
