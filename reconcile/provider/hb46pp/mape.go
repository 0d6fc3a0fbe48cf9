package hb46pp

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"mape-netplan/reconcile/softwire"
)

// MAPE is the map_e of a reply.
type MAPE struct {
	// Version is 0 for draft-ietf-softwire-map-03 and 1 for RFC 7597: how the interface identifier is made.
	Version int `json:"version"`
	// Mesh says that customers send to each other directly, and not through the border relay.
	Mesh  bool       `json:"mesh,omitempty"`
	BR    netip.Addr `json:"br"`
	Rules []Rule     `json:"rules"`
}

// A Rule is one of the rules of a reply, in its words.
type Rule struct {
	IPv6       netip.Prefix `json:"ipv6"`
	IPv4       netip.Prefix `json:"ipv4"`
	EALength   int          `json:"ea_length"`
	PSIDOffset int          `json:"psid_offset"`
}

// MostRules bounds the rules of a reply. The specification has a CPE accept 256 and names no number that a server must
// keep to, and a provider with more exists: BIGLOBE's table has 258. A line needs one of them, so a longer list costs
// nothing but its check; refusing it would cost the line. 1024 is four times what is known, and a bound on that check.
const MostRules = 1024

// InterfaceID is the layout that the version stands for.
func (m *MAPE) InterfaceID() softwire.InterfaceID {
	if m.Version == 1 {
		return softwire.RFC7597
	}
	return softwire.MAP03
}

// Softwire are the rules as RFC 7597 has them, each with the border relay.
func (m *MAPE) Softwire() []softwire.Rule {
	all := make([]softwire.Rule, len(m.Rules))
	for i, r := range m.Rules {
		all[i] = softwire.Rule{IPv6: r.IPv6, IPv4: r.IPv4, EABits: r.EALength, PSIDOffset: r.PSIDOffset, BR: m.BR}
	}
	return all
}

func parseMAPE(data []byte) (*MAPE, error) {
	f := object("map_e.", data)
	m := new(MAPE)
	if raw, ok := f.get("version"); ok {
		m.Version = f.number("version", raw, 0, 1)
	}
	m.Mesh = f.mesh()
	br := f.needText("br", "the IPv6 address of the border relay")
	address, err := netip.ParseAddr(br)
	if err != nil {
		f.fail("br", "%s is not an IPv6 address", quote(br))
	}
	m.BR = address
	for i, raw := range f.list("rules", MostRules, "a list of rules") {
		m.Rules = append(m.Rules, f.rule(i, raw))
	}
	if len(m.Rules) == 0 {
		f.fail("rules", "is empty: it must have at least the rule of this line")
	}
	if f.err == nil {
		f.err = m.check()
	}
	return m, f.err
}

// mesh is true or false as in the specification's example, or 1 or 0 as in its text.
func (f *fields) mesh() bool {
	raw, ok := f.get("mesh")
	switch s := string(raw); {
	case !ok:
	case s == "true", s == "1":
		return true
	case s != "false" && s != "0":
		f.fail("mesh", "%s must be true or false", quote(s))
	}
	return false
}

func (f *fields) rule(i int, data json.RawMessage) Rule {
	inner := object(fmt.Sprintf("map_e.rules[%d].", i), data)
	r := Rule{
		IPv6:       inner.needPrefix("ipv6", "2001:db8::/40"),
		IPv4:       inner.needPrefix("ipv4", "192.0.2.0/24"),
		EALength:   inner.needNumber("ea_length", 0, 48),
		PSIDOffset: inner.needNumber("psid_offset", 0, 15),
	}
	if f.err == nil {
		f.err = inner.err
	}
	return r
}

// check is what RFC 7597 says of the rules.
func (m *MAPE) check() error {
	all := m.Softwire()
	for i, r := range all {
		if err := r.Check(); err != nil {
			return fmt.Errorf("map_e.rules[%d]: %w", i, first(err))
		}
	}
	if err := softwire.CheckRules(all); err != nil {
		return fmt.Errorf("map_e.rules: %w", first(err))
	}
	return nil
}

// first is the first of the errors that one joins.
func first(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()[0]
	}
	return err
}
