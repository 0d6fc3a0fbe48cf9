package provider

import (
	"fmt"
	"net/netip"

	"mape-netplan/reconcile/softwire"
)

// Find returns the rule of a provider, or of any for [Auto], that covers prefix. The error is a [NoRule] if there is
// none, unless another provider has it.
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
	if prefix.Bits() < softwire.HomeLen {
		if r, ok := overlapping(rules, prefix); ok {
			return Rule{}, fmt.Errorf("prefix %v is too short: it covers several lines of %s, each of which has a /%d",
				prefix, service(r.Provider), softwire.HomeLen)
		}
	}
	return Rule{}, notCovered(name, prefix)
}

// covering finds the rule that contains all of prefix, even if prefix is too short for its EA bits, which
// softwire.Compute reports.
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
	Network Network // that Prefix is in; the zero value if unknown
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
