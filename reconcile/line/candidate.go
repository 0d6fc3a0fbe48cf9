package line

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// A Candidate is a prefix that may tell which line this is.
type Candidate struct {
	Prefix   netip.Prefix // a delegation, or an address with its length
	Origin   kernel.Origin
	Softwire softwire.Softwire // what it comes to, where a rule covers it
	// Reason is why it cannot be the one; "" is that it can, and the first of
	// those is.
	Reason string
	// Err is that no rule covers it.
	Err error

	mapping   mapping
	announced uint32
	ours      bool // what it comes to is what the machine has from an earlier run
}

// candidates puts those that can be the line's before those that cannot, and
// the former in the order of trust.
//
// Of addresses, those that a router advertises come first, and of them those
// that were announced last: a router whose line has moved to another prefix
// goes on with that one alone. A delegation goes before them, for only what
// was asked for on the line in person is surely routed here (on FLET'S Cross
// an advertised address outside of it is of no use); but a home gateway
// delegates a part of what it advertises, and there the part says nothing new.
// One that nobody knows the link of may be another line's: it comes last.
func candidates(c *schema.Config, wan kernel.Link, f facts.Facts) []Candidate {
	m := making{c, wan, f, map[netip.Prefix]made{}}
	var delegated, addresses, strays []Candidate
	for _, d := range f.Delegations {
		if d.Link == "" {
			strays = append(strays, m.ofDelegation(d))
		} else {
			delegated = append(delegated, m.ofDelegation(d))
		}
	}
	for _, a := range wan.Addresses {
		if a.Prefix.Addr().Is6() {
			addresses = append(addresses, m.ofAddress(a))
		}
	}
	slices.SortStableFunc(addresses, byTrust(addresses))
	all := slices.Concat(delegated, addresses, strays)
	if part(delegated, addresses) {
		all = slices.Concat(addresses, delegated, strays)
	}
	slices.SortStableFunc(all, func(a, b Candidate) int { return cmp.Compare(rank(a), rank(b)) })
	return all
}

// rank puts what no rule covers behind what can be taken, and what tells
// nothing of the line last.
func rank(c Candidate) int {
	switch {
	case c.Reason == "":
		return 0
	case c.Err != nil:
		return 1
	}
	return 2
}

// byTrust orders addresses, of which some were announced at the same time.
func byTrust(all []Candidate) func(a, b Candidate) int {
	// The prefixes of one advertisement are worked off within milliseconds.
	const moment = 10 // in 1/100 s
	var newest uint32
	for _, c := range all {
		// The kernel's counter begins anew after 497 days.
		if c.Origin == kernel.OriginRA && c.Reason == "" && (newest == 0 || int32(c.announced-newest) > 0) {
			newest = c.announced
		}
	}
	key := func(c Candidate) int {
		last := int32(newest-c.announced) <= moment
		switch {
		case c.Origin == kernel.OriginRA && last && c.ours:
			return 0
		case c.Origin == kernel.OriginRA && last:
			return 1
		case c.Origin == kernel.OriginRA:
			return 2
		case c.Origin == kernel.OriginStatic:
			return 3
		}
		return 4
	}
	return func(a, b Candidate) int { return cmp.Compare(key(a), key(b)) }
}

// part says whether the delegation that would be taken is only a part of the
// end-user prefix that the address that would be taken says as well.
func part(delegated, addresses []Candidate) bool {
	can := func(c Candidate) bool { return c.Reason == "" }
	d, a := slices.IndexFunc(delegated, can), slices.IndexFunc(addresses, can)
	if d < 0 || a < 0 {
		return false
	}
	whole := delegated[d].Softwire.EndUserPrefix
	return whole == addresses[a].Softwire.EndUserPrefix && delegated[d].Prefix.Bits() > whole.Bits()
}

// A making makes candidates of what the WAN has, one line for all addresses of
// a subnet: there may be thousands.
type making struct {
	c     *schema.Config
	wan   kernel.Link
	f     facts.Facts
	known map[netip.Prefix]made
}

type made struct {
	mapping mapping
	err     error
}

func (m making) ofDelegation(d networkd.Delegation) Candidate {
	candidate := Candidate{Prefix: d.Prefix, Origin: kernel.OriginPD}
	switch {
	case m.c.WANPrefix == "ra":
		candidate.Reason = "is delegated, and mape.wan-prefix is ra"
	case m.c.WANPrefix == "auto" && slices.Contains(m.f.Owned.Asking, m.wan.Name):
		// It goes with the file that asks for it.
		candidate.Reason = "is delegated because mape.wan-prefix was pd, and now it is auto"
	case d.Link != "" && d.Link != m.wan.Name:
		candidate.Reason = fmt.Sprintf("was delegated by way of %s", d.Link)
	case !global(d.Prefix.Addr()):
		candidate.Reason = "is not a global address"
	default:
		m.derive(&candidate, d.Prefix)
	}
	return candidate
}

func (m making) ofAddress(a kernel.Inet) Candidate {
	candidate := Candidate{Prefix: a.Prefix, Origin: a.Origin, announced: a.Announced}
	ip := a.Prefix.Addr()
	if candidate.Reason = unfit(a); candidate.Reason != "" {
		return candidate
	}
	switch {
	case m.f.Owned.Has(m.wan.Name, ip):
		candidate.Reason = "is the CE address of an earlier run"
	case m.c.WANPrefix == "pd":
		candidate.Reason = "is not delegated, and mape.wan-prefix is pd"
	default:
		m.derive(&candidate, netip.PrefixFrom(ip, 64).Masked())
	}
	if candidate.Reason == "" && candidate.Softwire.CE == ip {
		candidate.Reason = "is the CE address itself, which may be an earlier line's"
	}
	return candidate
}

func (m making) derive(candidate *Candidate, prefix netip.Prefix) {
	all, known := m.known[prefix]
	if !known {
		all.mapping, all.err = derive(m.c, m.f, prefix)
		m.known[prefix] = all
	}
	candidate.mapping, candidate.Softwire, candidate.Err = all.mapping, all.mapping.softwire, all.err
	if all.err != nil {
		candidate.Reason = all.err.Error()
		return
	}
	candidate.ours = m.f.Owned.Has(m.wan.Name, all.mapping.softwire.CE)
}

// unfit says why an address does not tell the prefix of the line.
func unfit(i kernel.Inet) string {
	switch ip := i.Prefix.Addr(); {
	case ip.Is6() && ip.IsLinkLocalUnicast():
		return "is link-local"
	case ip.Is6() && ip.IsPrivate():
		return "is a unique local address"
	case !global(ip):
		return "is not a global address"
	case i.Temporary:
		return "is temporary"
	case i.Deprecated:
		return "is deprecated"
	}
	return ""
}

// OfLine says whether an address tells the prefix of the line. The CE address
// itself does not: it is deprecated, and may be the previous line's.
func OfLine(i kernel.Inet) bool { return unfit(i) == "" }

// global says whether IANA has given an address to the internet (2000::/3).
func global(ip netip.Addr) bool { return netip.MustParsePrefix("2000::/3").Contains(ip) }

// missing says what a machine lacks that has no candidate to take.
func missing(c *schema.Config, wan kernel.Link, f facts.Facts, all []Candidate) error {
	for _, candidate := range all {
		if candidate.Err == nil {
			continue
		}
		has := "has"
		if candidate.Origin == kernel.OriginPD {
			has = "was delegated"
		}
		// Before the provider's prefix NTT's own may come.
		return fmt.Errorf("%s %s %s: %w", wan.Name, has, candidate.Prefix, candidate.Err)
	}
	if !f.Live {
		return fmt.Errorf("an image has no line to look at, and its files give %s no prefix; set mape.prefix", wan.Name)
	}
	asked := func(candidate Candidate) bool { return candidate.Origin == kernel.OriginPD }
	switch i := slices.IndexFunc(all, asked); {
	case c.WANPrefix != "pd" && i >= 0:
		return fmt.Errorf("%s has no other prefix than %s, which %s; set mape.wan-prefix to pd, or set mape.prefix", wan.Name, all[i].Prefix, all[i].Reason)
	case c.WANPrefix == "pd":
		return fmt.Errorf("no prefix has been delegated to %s yet, and mape.wan-prefix is pd; wait for the line's DHCPv6 server, which has one for a single router only, or set mape.prefix", wan.Name)
	}
	return fmt.Errorf("%s has no global IPv6 address yet, so the line's prefix is not known; wait for a router advertisement, or set mape.prefix", wan.Name)
}
