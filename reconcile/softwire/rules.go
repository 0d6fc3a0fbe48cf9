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

// CheckRules checks each rule and that no two conflict. It joins a RuleError for every problem.
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
			if err := conflict(r, earlier, j); err != nil {
				problems = append(problems, &RuleError{i, err})
			}
		}
	}
	return errors.Join(problems...)
}

// conflict reports that two rules have the same IPv6 prefix, or the same IPv4 prefix in one MAP domain. Of prefixes inside
// each other the longest match decides (RFC 7597 section 5). Two domains may use the same private IPv4 prefix.
func conflict(r, earlier Rule, index int) error {
	switch {
	case r.IPv6 == earlier.IPv6:
		return fmt.Errorf("ipv6 %v is that of rule %d, too: a prefix must have one rule only, so remove or correct one of the two",
			r.IPv6, index+1)
	case r.sameDomain(earlier) && r.IPv4.Masked() == earlier.IPv4.Masked() && !distinctPSIDs(r, earlier):
		return fmt.Errorf("ipv4 %v is that of rule %d, too, at the same far end: "+
			"an address and port must lie in one rule only, so remove or correct one of the two",
			r.IPv4, index+1)
	}
	return nil
}

func (r Rule) sameDomain(other Rule) bool { return r.BR == other.BR && r.DMR == other.DMR }

// distinctPSIDs reports whether two rules share an address by PSIDs of their own that differ in their common leading bits,
// so that no port is in both sets: such rules need differ in nothing else (RFC 7597 appendix A example 5).
func distinctPSIDs(r, other Rule) bool {
	if !r.explicit() || !other.explicit() || r.PSIDOffset != other.PSIDOffset {
		return false
	}
	common := min(r.PSID.Len, other.PSID.Len)
	return r.PSID.Value>>(r.PSID.Len-common) != other.PSID.Value>>(other.PSID.Len-common)
}

// nearBits is how many leading bits a prefix must share with a rule for an error to name the rule: fewer are common to
// unrelated networks (2001::/16 and 2400::/12 are allocated to registries).
const nearBits = 16

// match is the rule with the longest prefix that covers prefix (RFC 7597 section 5).
func match(rules []Rule, prefix netip.Prefix) (Rule, error) {
	if len(rules) == 0 {
		return Rule{}, fmt.Errorf("no rule is given that could cover %v", prefix)
	}
	var found Rule
	longest := -1
	for _, r := range rules {
		length := r.IPv6.Bits()
		if length > prefix.Bits() {
			length = 0 // A rule inside prefix covers a part of it only.
		}
		if r.IPv6.Overlaps(prefix) && length > longest {
			found, longest = r, length
		}
	}
	switch {
	case longest >= 0 && prefix.Bits() >= found.EndUserLen():
		return found, nil
	case longest >= 0:
		return Rule{}, fmt.Errorf("prefix %v is too short for rule %v, which with %d EA bits needs a /%d: "+
			"give the whole /%d that this line has",
			prefix, found.IPv6, found.EABits, found.EndUserLen(), found.EndUserLen())
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
