package nft

import (
	"reflect"

	"github.com/google/nftables/expr"
)

// Same says whether the kernel does the same by both rules. Counters change nothing, and texts do not decide: two rules
// may look alike.
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

// OnlyDrops says whether all that a rule can do to a packet is to drop it: it loads and compares, and ends in that
// verdict. Of an expression that is not listed here anything may be.
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
