package softwire_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/provider"
	"mape-netplan/reconcile/softwire"
)

// claim is what one line of testdata says: some input, and what comes of it. Empty wanted values are not claimed.
type claim struct {
	name   string
	rule   *softwire.Rule // nil: the built-in rules
	prefix netip.Prefix
	id     softwire.InterfaceID

	refused bool
	want    []wanted
}

// wanted is one value that a source states.
type wanted struct {
	what string
	text string
	got  func(softwire.Softwire) string
}

func (c *claim) wants(what, text string, got func(softwire.Softwire) string) {
	c.want = append(c.want, wanted{what, text, got})
}

// disagreement is nil when Compute says what the source says, with its rule and, for a line of a provider in the
// built-in rules, with those.
func (c *claim) disagreement() error {
	rules := builtin(c.prefix)
	if c.rule == nil {
		return c.compare("built-in rules", rules)
	}
	err := c.compare("its rule", []softwire.Rule{*c.rule})
	if len(rules) > 0 && !c.refused {
		err = errors.Join(err, c.compare("built-in rules", rules))
	}
	return err
}

func (c *claim) compare(by string, rules []softwire.Rule) error {
	s, err := softwire.Compute(rules, c.prefix, c.id)
	if c.refused {
		if err == nil {
			return fmt.Errorf("%s: it is refused there, Compute gives %v", by, s.CE())
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: Compute refuses: %w", by, err)
	}
	var problems []error
	for _, w := range c.want {
		if got := w.got(s); got != w.text {
			problems = append(problems, fmt.Errorf("%s: %s is %s there, Compute gives %s", by, w.what, w.text, got))
		}
	}
	if len(c.want) == 0 {
		problems = append(problems, errors.New("nothing was compared"))
	}
	return errors.Join(problems...)
}

func builtin(prefix netip.Prefix) []softwire.Rule {
	found, err := provider.Find("auto", prefix)
	if err != nil {
		return nil
	}
	return []softwire.Rule{found.Rule}
}

// exception is a line that is wrong, or for which this package deliberately does something else.
type exception struct {
	disagrees string // part of the disagreement
	reason    string
}

// checkClaims fails for every disagreement that is no exception and every exception that is not needed.
func checkClaims(t *testing.T, claims []claim, exceptions map[string]exception) {
	t.Helper()
	used := map[string]bool{}
	for _, c := range claims {
		if used[c.name] {
			t.Errorf("%s: two lines have this name", c.name)
		}
		used[c.name] = true
		err := c.disagreement()
		ex, known := exceptions[c.name]
		switch {
		case !known && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case known && err == nil:
			t.Errorf("%s: is named as an exception (%s) but agrees", c.name, ex.reason)
		case known && !strings.Contains(err.Error(), ex.disagrees):
			t.Errorf("%s: the exception (%s) disagrees in another way: %v", c.name, ex.reason, err)
		case known && ex.reason == "":
			t.Errorf("%s: the exception has no reason", c.name)
		}
	}
	for name := range exceptions {
		if !used[name] {
			t.Errorf("%s: is named as an exception but no line has this name", name)
		}
	}
}

func ce(s softwire.Softwire) string         { return s.CE().String() }
func br(s softwire.Softwire) string         { return s.BR().String() }
func ipv4(s softwire.Softwire) string       { return s.Inner.String() }
func psid(s softwire.Softwire) string       { return fmt.Sprint(s.Ports.PSID) }
func psidLen(s softwire.Softwire) string    { return fmt.Sprint(s.Ports.PSIDLen) }
func psidOffset(s softwire.Softwire) string { return fmt.Sprint(s.Ports.PSIDOffset) }
func portCount(s softwire.Softwire) string  { return fmt.Sprint(s.Ports.Count()) }
func endUser(s softwire.Softwire) string    { return s.Origin.EndUserPrefix.String() }

func rangeStrings(s softwire.Softwire) []string {
	var out []string
	for _, r := range s.Ports.Ranges() {
		out = append(out, r.String())
	}
	return out
}

func ranges(s softwire.Softwire) string { return strings.Join(rangeStrings(s), " ") }

// someRanges keeps those of the ranges that a source names.
func someRanges(named string) func(softwire.Softwire) string {
	return func(s softwire.Softwire) string {
		all := rangeStrings(s)
		var out []string
		for _, name := range strings.Fields(named) {
			if slices.Contains(all, name) {
				out = append(out, name)
			}
		}
		return strings.Join(out, " ")
	}
}

func rangesSum(s softwire.Softwire) string {
	sum := sha256.Sum256([]byte(ranges(s)))
	return hex.EncodeToString(sum[:])
}

// address writes an address as netip does.
func address(s string) string {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return s
	}
	return a.String()
}
