package softwire

import (
	"errors"
	"fmt"
	"net/netip"
)

// RuleError is what is wrong with one of several rules.
type RuleError struct {
	Index int // of the rule, from 0
	Err   error
}

func (e *RuleError) Error() string { return fmt.Sprintf("rule %d: %v", e.Index+1, e.Err) }
func (e *RuleError) Unwrap() error { return e.Err }

// CheckRules checks each rule and that no two overlap. It joins a RuleError for every problem.
func CheckRules(rules []Rule) error {
	var problems []error
	for i, r := range rules {
		for _, err := range r.problems() {
			problems = append(problems, &RuleError{i, err})
		}
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	for i, r := range rules {
		for j, earlier := range rules[:i] {
			if err := overlap(r, earlier, j); err != nil {
				problems = append(problems, &RuleError{i, err})
			}
		}
	}
	return errors.Join(problems...)
}

// overlap reports that two rules claim the same end-user prefix, or the same IPv4 address and port in one MAP domain.
// Each border relay is a domain of its own: two may use the same private IPv4 prefix.
func overlap(r, earlier Rule, index int) error {
	switch {
	case r.IPv6.Overlaps(earlier.IPv6):
		return fmt.Errorf("ipv6 %v overlaps rule %d, %v: "+
			"a prefix must lie in one rule only, so remove or correct one of the two",
			r.IPv6, index+1, earlier.IPv6)
	case r.BR == earlier.BR && r.IPv4.Overlaps(earlier.IPv4) && !distinctPSIDs(r, earlier):
		return fmt.Errorf("ipv4 %v overlaps rule %d, %v, at the same border relay: "+
			"an address and port must lie in one rule only, so remove or correct one of the two",
			r.IPv4, index+1, earlier.IPv4)
	}
	return nil
}

// distinctPSIDs reports whether two rules share an address by PSIDs of their own that differ in their common leading bits,
// so that no port is in both sets: such rules need differ in nothing else (RFC 7597 appendix A example 5).
func distinctPSIDs(r, other Rule) bool {
	if r.PSID == nil || other.PSID == nil || r.PSIDOffset != other.PSIDOffset {
		return false
	}
	common := min(r.PSID.Len, other.PSID.Len)
	return r.PSID.Value>>(r.PSID.Len-common) != other.PSID.Value>>(other.PSID.Len-common)
}

// nearBits is how many leading bits a prefix must share with a rule for an error to name the rule: fewer are common to
// unrelated networks (2001::/16 and 2400::/12 are allocated to registries).
const nearBits = 16

// match is the rule that covers prefix. rules do not overlap.
func match(rules []Rule, prefix netip.Prefix) (Rule, error) {
	if len(rules) == 0 {
		return Rule{}, fmt.Errorf("no rule is given that could cover %v", prefix)
	}
	for _, r := range rules {
		if !r.IPv6.Overlaps(prefix) {
			continue
		}
		if prefix.Bits() < r.EndUserLen() {
			return Rule{}, fmt.Errorf("prefix %v is too short for rule %v, which with %d EA bits needs a /%d: "+
				"give the whole /%d that this line has",
				prefix, r.IPv6, r.EABits, r.EndUserLen(), r.EndUserLen())
		}
		return r, nil
	}
	nearest, shared := nearest(rules, prefix)
	if shared < nearBits {
		return Rule{}, fmt.Errorf("prefix %v is outside every rule, and not near one: "+
			"the rules or the prefix belong to another line", prefix)
	}
	return Rule{}, fmt.Errorf("prefix %v is outside every rule: the nearest is %v, with which it shares the first %d bits; "+
		"correct the prefix or add its rule",
		prefix, nearest.IPv6, shared)
}

// nearest is the first of the rules with most leading bits in common with prefix, which none of them covers.
func nearest(rules []Rule, prefix netip.Prefix) (found Rule, shared int) {
	shared = -1
	for _, r := range rules {
		if n := CommonBits(r.IPv6.Addr(), prefix.Addr()); n > shared {
			found, shared = r, n
		}
	}
	return found, shared
}
