package provider

import (
	"fmt"
	"net/netip"

	"mape-netplan/reconcile/softwire"
)

// homeLen is the length in bits of the end-user prefix that every rule of the table makes.
const homeLen = 56

// Find is the rule of a provider, or of any for Auto, that covers prefix. When there is none the error says what the
// prefix is known to be.
func Find(name string, prefix netip.Prefix) (Rule, error) {
	rules, err := Rules(name)
	if err != nil {
		return Rule{}, err
	}
	if err := softwire.CheckPrefix(prefix); err != nil {
		return Rule{}, err
	}
	if r, ok := covering(rules, prefix); ok {
		return r, nil
	}
	if prefix.Bits() < homeLen {
		if r, ok := overlapping(rules, prefix); ok {
			return Rule{}, fmt.Errorf("prefix %v is too short: it reaches over several lines of %s, whose lines have a /%d each",
				prefix, service(r.Provider), homeLen)
		}
	}
	return Rule{}, notCovered(name, prefix)
}

// covering finds the rule that holds all of prefix, even when prefix is too short for its EA bits: softwire.Compute
// says that better.
func covering(rules []Rule, prefix netip.Prefix) (Rule, bool) {
	for _, r := range rules {
		if r.IPv6.Bits() <= prefix.Bits() && r.IPv6.Contains(prefix.Addr()) {
			return r, true
		}
	}
	return Rule{}, false
}

func overlapping(rules []Rule, prefix netip.Prefix) (Rule, bool) {
	for _, r := range rules {
		if r.IPv6.Overlaps(prefix) {
			return r, true
		}
	}
	return Rule{}, false
}

func notCovered(name string, prefix netip.Prefix) error {
	if name != Auto {
		all, err := Rules(Auto)
		if err != nil {
			return err
		}
		if r, ok := covering(all, prefix); ok {
			return fmt.Errorf("no rule of provider %s covers prefix %v, but one of %s (%s) does: write provider: %s, or %s",
				name, prefix, r.Provider, service(r.Provider), r.Provider, Auto)
		}
	}
	n, _ := Known(prefix)
	return NoRule{prefix, n}
}

// NoRule is the error that no built-in rule covers a prefix.
type NoRule struct {
	Prefix  netip.Prefix
	Network Network // that Prefix is in; the zero value where it is not known
}

func (e NoRule) Error() string {
	if e.Network.Prefix.IsValid() {
		return fmt.Sprintf("no built-in rule covers prefix %v: %v is %s", e.Prefix, e.Network.Prefix, e.Network)
	}
	return fmt.Sprintf("no built-in rule covers prefix %v, and its network is not known: if the provider uses MAP-E, "+
		"write its rules or values into the section (keys rules and br, or softwire)", e.Prefix)
}

func service(name string) string {
	for _, n := range names {
		if n.name == name {
			return n.service
		}
	}
	return name
}
