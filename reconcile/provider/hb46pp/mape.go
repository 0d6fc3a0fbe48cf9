package hb46pp

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"mape-netplan/reconcile/softwire"
)

// MAPE is the map_e of a reply.
type MAPE struct {
	// Version is the layout of the interface identifier: 0 for draft-ietf-softwire-map-03, 1 for RFC 7597.
	Version int `json:"version"`
	// Mesh is set if customers send to each other directly, and not through the border relay.
	Mesh  bool       `json:"mesh,omitempty"`
	BR    netip.Addr `json:"br"`
	Rules []Rule     `json:"rules"`
}

// A Rule is a mapping rule of a reply, with the names of the protocol.
type Rule struct {
	IPv6       netip.Prefix `json:"ipv6"`
	IPv4       netip.Prefix `json:"ipv4"`
	EALength   int          `json:"ea_length"`
	PSIDOffset int          `json:"psid_offset"`
}

// MostRules bounds the rules of a reply. The specification requires a CPE to accept 256 and sets no maximum for a
// server, and one provider has more: BIGLOBE's table has 258. A line needs only one of them, so refusing a longer list
// would cost the line and save only its check. 1024 is four times the longest known.
const MostRules = 1024

// InterfaceID is the layout that the version stands for.
func (m *MAPE) InterfaceID() softwire.InterfaceID {
	if m.Version == 1 {
		return softwire.RFC7597
	}
	return softwire.MAP03
}

// Softwire converts the rules, each with the border relay.
func (m *MAPE) Softwire() []softwire.Rule { return softwires(m.Rules, softwire.Rule{BR: m.BR}) }

// softwires converts rules, each with the far end of one.
func softwires(rules []Rule, far softwire.Rule) []softwire.Rule {
	all := make([]softwire.Rule, len(rules))
	for i, r := range rules {
		all[i] = softwire.Rule{IPv6: r.IPv6, IPv4: r.IPv4, EABits: r.EALength, PSIDOffset: r.PSIDOffset, BR: far.BR, DMR: far.DMR}
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
	m.Rules = f.rules()
	if f.err == nil {
		f.err = checkRules(mapE, m.Softwire())
	}
	return m, f.err
}

// mesh is true or false as in the example of the specification, or 1 or 0 as in its text.
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

func (f *fields) rules() (all []Rule) {
	for i, raw := range f.list("rules", MostRules, "a list of rules") {
		all = append(all, f.rule(i, raw))
	}
	if len(all) == 0 {
		f.fail("rules", "is empty: it must have at least the rule of this line")
	}
	return all
}

func (f *fields) rule(i int, data json.RawMessage) Rule {
	inner := object(fmt.Sprintf("%srules[%d].", f.path, i), data)
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

// checkRules checks the rules of a method by RFC 7597.
func checkRules(method string, all []softwire.Rule) error {
	for i, r := range all {
		if err := r.Check(); err != nil {
			return fmt.Errorf("%s.rules[%d]: %w", method, i, first(err))
		}
		if err := checkPublic(r.IPv4); err != nil {
			return fmt.Errorf("%s.rules[%d]: %w", method, i, err)
		}
	}
	if err := softwire.CheckRules(all); err != nil {
		return fmt.Errorf("%s.rules: %w", method, first(err))
	}
	return nil
}

// checkPublic refuses an address that no host on the internet can answer.
func checkPublic(ipv4 netip.Prefix) error {
	if softwire.Private(ipv4) {
		return fmt.Errorf("ipv4 %v is private, and a provider's customers share addresses of the internet", ipv4)
	}
	return nil
}

// first is the first of joined errors.
func first(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()[0]
	}
	return err
}
