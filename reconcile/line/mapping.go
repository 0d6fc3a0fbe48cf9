package line

import (
	"errors"
	"fmt"
	"net/netip"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/provider"
	"mape-netplan/reconcile/provider/offer"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// ErrNotYet is wrapped by errors that may pass by themselves: what is missing comes with a router advertisement, a
// delegation or an answer of the line.
var ErrNotYet = errors.New("not there yet")

// NotYet is an error that is ErrNotYet and has the text of its reason alone.
type NotYet struct{ Why error }

func (n NotYet) Error() string { return n.Why.Error() }

func (NotYet) Is(target error) bool { return target == ErrNotYet }

func (n NotYet) Unwrap() error { return n.Why }

// A mapping is the softwire of a prefix, with the origin of its rule.
type mapping struct {
	provider, service string
	softwire          softwire.Softwire
	farEnd            string // where it is a name
}

// given is the mapping of a section that gives the softwire or the prefix itself; false for one that leaves it open.
func given(c *schema.Config, f facts.Facts) (m mapping, ok bool, err error) {
	switch {
	case c.Softwire != nil:
		m, err = fixed(c)
	case c.Prefix.IsValid():
		m, err = derive(c, f, c.Prefix)
		if err != nil && !errors.Is(err, ErrNotYet) && !errors.Is(err, discovery.ErrWithdrawn) {
			err = problem(c, "prefix", err)
		}
	case c.IPIP != nil && c.IPIP.CE.IsValid(): // It needs no prefix.
		own, _ := ownMechanism(c)
		m, err = byMechanism(c, f, own, netip.Prefix{})
	default:
		return m, false, nil
	}
	return m, true, err
}

// fixed is the mapping of a section that has the softwire in numbers.
func fixed(c *schema.Config) (mapping, error) {
	s := c.Softwire
	sw, err := softwire.Given(s.CE, s.BR, s.IPv4, uint16(s.PSID), s.PSIDLen, s.PSIDOffset)
	if err == nil && c.Prefix.IsValid() {
		err = sw.CheckPrefix(c.Prefix)
	}
	if err != nil {
		return mapping{}, problem(c, "softwire", err)
	}
	return mapping{softwire: sw}, nil
}

// derive computes the mapping of a prefix by the section's rules, the line's own or the built-in ones.
func derive(c *schema.Config, f facts.Facts, prefix netip.Prefix) (mapping, error) {
	if m, path := ownMechanism(c); path != "" {
		return byMechanism(c, f, m, prefix)
	}
	if discovery.Asks(c.Provider) {
		return discovered(c, f, prefix)
	}
	if aftr, ok := provider.DSLite(c.Provider, prefix); ok {
		m, err := byMechanism(c, f, offer.Mechanism{Mode: softwire.DSLite, FarEnd: aftr.Name}, prefix)
		m.provider = aftr.Provider
		switch {
		case !errors.Is(err, ErrNotYet):
			return m, err
		case c.Provider == provider.Auto && f.Discovered.By("").Offers():
			return discovered(c, f, prefix)
		}
		return m, NotYet{fmt.Errorf("%s, which is DS-Lite: %w", aftr.Service, err)}
	}
	rule, err := provider.Find(c.Provider, prefix)
	if err != nil && c.Provider == provider.Auto && f.Discovered.By("") != nil {
		m, refused := discovered(c, f, prefix)
		if refused != nil {
			refused = fmt.Errorf("%w; and the line, asked for its rules (HB46PP): %w", err, refused)
		}
		return m, refused
	}
	if err != nil {
		return mapping{}, err
	}
	sw, err := softwire.Compute([]softwire.Rule{rule.Rule}, prefix, interfaceID(c, rule.InterfaceID))
	return mapping{provider: rule.Provider, softwire: sw}, err
}

func rules(c *schema.Config) []softwire.Rule {
	var all []softwire.Rule
	for _, r := range c.Rules {
		rule := softwire.Rule{IPv6: r.IPv6, IPv4: r.IPv4, EABits: r.EABits, PSIDOffset: r.PSIDOffset, BR: r.BR, DMR: c.DMR}
		if !rule.BR.IsValid() {
			rule.BR = c.BR
		}
		if r.PSID != nil {
			rule.PSID = &softwire.PSID{Value: uint16(*r.PSID), Len: r.PSIDLen}
		}
		all = append(all, rule)
	}
	return all
}

// interfaceID is the section's, which the schema has checked, or the default.
func interfaceID(c *schema.Config, fallback softwire.InterfaceID) softwire.InterfaceID {
	if id, err := softwire.ParseInterfaceID(c.InterfaceID); err == nil {
		return id
	}
	return fallback
}

// problem puts an error at the key of the section that it is about.
func problem(c *schema.Config, path string, err error) error {
	return schema.Problems{c.Problem(path, "%v", err)}
}

// Check reports everything that is wrong with a section and can be told without a machine, as schema.Problems.
func Check(c *schema.Config) error {
	var all schema.Problems
	add := func(path string, err error) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				all = append(all, c.Problem(path, "%v", e))
			}
		} else if err != nil {
			all = append(all, c.Problem(path, "%v", err))
		}
	}
	for i, r := range rules(c) {
		add(fmt.Sprintf("rules[%d]", i), r.Check())
	}
	if m, path := ownMechanism(c); path != "" && len(all) == 0 {
		add(path, m.Check())
	}
	if r := contract(c); r != nil {
		add("ipip.registration", r.Check())
	}
	if len(all) > 0 {
		return all
	}
	if fixesPorts(c) {
		if _, off := SplitForwards(c, wherever(c)); len(off) > 0 {
			return off
		}
	}
	m, ok, err := given(c, facts.Facts{})
	switch {
	case !ok || errors.Is(err, ErrNotYet): // The line has not given its prefix or its rules yet.
		return nil
	case err != nil:
		return err
	}
	if _, off := SplitForwards(c, m.softwire); len(off) > 0 {
		return off
	}
	return nil
}
