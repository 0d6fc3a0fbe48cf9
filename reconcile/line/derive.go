package line

import (
	"errors"
	"net/netip"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/provider"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// ErrNotYet is wrapped by errors that time may mend: what they miss comes with
// a router advertisement.
var ErrNotYet = errors.New("not there yet")

// NotYet is an error whose text is its own and that is ErrNotYet.
type NotYet struct{ Why error }

func (n NotYet) Error() string { return n.Why.Error() }

func (NotYet) Is(target error) bool { return target == ErrNotYet }

func (n NotYet) Unwrap() error { return n.Why }

func given(c *schema.Config) (mapping, error) {
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

func derive(c *schema.Config, f facts.Facts, prefix netip.Prefix) (mapping, error) {
	if len(c.Rules) > 0 {
		sw, err := softwire.Compute(rules(c), prefix, interfaceID(c, softwire.RFC7597))
		return mapping{softwire: sw}, err
	}
	if c.Provider == discovery.Discover {
		return discovered(c, f, prefix)
	}
	rule, err := provider.Find(c.Provider, prefix)
	if err != nil && c.Provider == provider.Auto && f.Discovered != nil {
		line, asked := discovered(c, f, prefix)
		if asked != nil {
			asked = undiscovered(err, asked)
		}
		return line, asked
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
		rule := softwire.Rule{IPv6: r.IPv6, IPv4: r.IPv4, EABits: r.EABits, PSIDOffset: r.PSIDOffset, BR: r.BR}
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

// interfaceID is the section's, which the schema has checked, or the one given.
func interfaceID(c *schema.Config, otherwise softwire.InterfaceID) softwire.InterfaceID {
	if id, err := softwire.ParseInterfaceID(c.InterfaceID); err == nil {
		return id
	}
	return otherwise
}

// problem puts an error where the section says what it is about.
func problem(c *schema.Config, path string, err error) error {
	return schema.Problems{c.Problem(path, "%v", err)}
}
