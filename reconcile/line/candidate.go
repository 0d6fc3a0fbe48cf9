package line

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sort"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// A Candidate is a prefix that may be the line's.
type Candidate struct {
	Prefix   netip.Prefix // a delegation, or an address with its length
	Origin   kernel.Origin
	Softwire softwire.Softwire // of the prefix, if a rule covers it
	// Usable: it can be taken, as the first of these is. Reason is why one cannot be.
	Usable bool
	Reason string
	// Err is the error of the rules, if that is the reason: none covers it, or the one that does makes no softwire.
	Err error

	mapping   mapping
	announced uint32 // kernel.Inet's
	ours      bool   // an earlier run put its CE address on the WAN
}

// candidates returns those that can be taken, in the order of trust, before
// those that cannot.
//
// Of addresses, those that a router advertises come first, and of them those
// that were announced last: a router whose line has moved to another prefix
// announces that one alone from then on. A delegation goes before them, because
// only what this machine asked for itself is certainly routed here (on FLET'S Cross
// an advertised address outside of it is of no use). A home gateway, however,
// delegates a part of what it advertises, and there the part tells nothing new.
// A delegation whose link is unknown may be another line's: it comes last.
func candidates(c *schema.Config, wan kernel.Link, f facts.Facts) []Candidate {
	d := deriver{c, wan, f, map[netip.Prefix]derived{}}
	var delegated, addresses, unplaced []Candidate
	for _, delegation := range f.Delegations {
		if delegation.Link == "" {
			unplaced = append(unplaced, d.ofDelegation(delegation))
		} else {
			delegated = append(delegated, d.ofDelegation(delegation))
		}
	}
	for _, a := range wan.Addresses {
		if a.Prefix.Addr().Is6() {
			addresses = append(addresses, d.ofAddress(a))
		}
	}
	trust := byTrust(addresses, len(wan.Routers6))
	sort.SliceStable(addresses, func(i, j int) bool { return trust(addresses[i], addresses[j]) < 0 })
	all := slices.Concat(delegated, addresses, unplaced)
	if partDelegated(delegated, addresses) {
		all = slices.Concat(addresses, delegated, unplaced)
	}
	sort.SliceStable(all, func(i, j int) bool { return rank(all[i]) < rank(all[j]) })
	return all
}

// rank orders candidates: first those that can be taken, then prefixes of a line
// that no rule covers, then what is no prefix of a line at all.
func rank(c Candidate) int {
	switch {
	case c.Usable:
		return 0
	case c.Err != nil:
		return 1
	}
	return 2
}

// byTrust compares addresses. Those of the last advertisement are equal, but that
// of the line that the machine is set up for goes first. Of several routers on the
// link each announces its own prefix in turn: there that line goes first as long as
// it is announced at all.
func byTrust(all []Candidate, routers int) func(a, b Candidate) int {
	// In 1/100 s. The kernel takes the prefixes of one advertisement within
	// milliseconds, and a router sends one every 10 minutes or sooner (RFC 4861,
	// section 6.2.1, MaxRtrAdvInterval).
	const moment, interval = 10, 10 * 60 * 100
	var newest uint32
	for _, c := range all {
		// The kernel's 32-bit counter of 1/100 s wraps after 497 days.
		if c.Origin == kernel.OriginRA && c.Usable && (newest == 0 || int32(c.announced-newest) > 0) {
			newest = c.announced
		}
	}
	key := func(c Candidate) int {
		age := int32(newest - c.announced)
		last := age <= moment
		switch {
		// The provider's translations are by the address, which is one of the WAN's own: it stays while it is good.
		case c.ours && c.Softwire.Mode == softwire.DSLite && (c.Origin != kernel.OriginRA || last || routers > 1):
			return 0
		case c.Origin == kernel.OriginRA && c.ours && (last || routers > 1 && age <= interval):
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

// partDelegated reports whether the delegation that would be taken is only a part
// of the end-user prefix of the address that would be taken. Only MAP has one.
func partDelegated(delegated, addresses []Candidate) bool {
	taken := func(c Candidate) bool { return c.Usable }
	d, a := slices.IndexFunc(delegated, taken), slices.IndexFunc(addresses, taken)
	if d < 0 || a < 0 {
		return false
	}
	if delegated[d].Softwire.Mode == softwire.IPIP {
		return true // A contract's interface identifier is meant for the WAN's own /64.
	}
	whole := delegated[d].Softwire.Origin.EndUserPrefix
	return whole.IsValid() && whole == addresses[a].Softwire.Origin.EndUserPrefix && delegated[d].Prefix.Bits() > whole.Bits()
}

// A deriver makes candidates of what the WAN has. It derives the mapping of a /64
// once: there may be thousands of addresses in it.
type deriver struct {
	c     *schema.Config
	wan   kernel.Link
	f     facts.Facts
	known map[netip.Prefix]derived
}

type derived struct {
	mapping mapping
	err     error
}

func (d deriver) ofDelegation(from networkd.Delegation) Candidate {
	candidate := Candidate{Prefix: from.Prefix, Origin: kernel.OriginPD}
	switch {
	case d.c.WANPrefix == "ra":
		candidate.Reason = "is delegated, and mape.wan-prefix is ra"
	case d.c.WANPrefix == "auto" && slices.Contains(d.f.Owned.Requesting, d.wan.Name):
		// It goes with the file that asks for it, which this run removes.
		candidate.Reason = "is delegated because mape.wan-prefix was pd, and now it is auto"
	case from.Link != "" && from.Link != d.wan.Name:
		candidate.Reason = fmt.Sprintf("was delegated on %s", from.Link)
	case !global(from.Prefix.Addr()):
		candidate.Reason = "is not a global address"
	default:
		d.derive(&candidate, from.Prefix)
	}
	return candidate
}

func (d deriver) ofAddress(a kernel.Inet) Candidate {
	candidate := Candidate{Prefix: a.Prefix, Origin: a.Origin, announced: a.Announced}
	ip := a.Prefix.Addr()
	if candidate.Reason = unusable(a); candidate.Reason != "" {
		return candidate
	}
	switch {
	case d.f.Owned.Has(d.wan.Name, ip):
		candidate.Reason = "is the CE address of an earlier run"
	case d.c.WANPrefix == "pd":
		candidate.Reason = "is not delegated, and mape.wan-prefix is pd"
	default:
		d.derive(&candidate, netip.PrefixFrom(ip, 64).Masked())
	}
	if candidate.Usable && candidate.Softwire.CE() == ip && candidate.Softwire.Mode != softwire.DSLite {
		candidate.Usable, candidate.Reason = false, "is the CE address itself, perhaps of an earlier line"
	}
	return candidate
}

func (d deriver) derive(candidate *Candidate, prefix netip.Prefix) {
	r, known := d.known[prefix]
	if !known {
		r.mapping, r.err = derive(d.c, d.f, prefix)
		d.known[prefix] = r
	}
	candidate.mapping, candidate.Softwire, candidate.Err = r.mapping, r.mapping.softwire, r.err
	if r.err != nil {
		candidate.Reason = r.err.Error()
		return
	}
	candidate.Usable = true
	ce, had := r.mapping.softwire.CE(), d.f.Owned.Memory
	candidate.ours = d.f.Owned.Has(d.wan.Name, ce) || r.mapping.softwire.Mode == softwire.DSLite && had != nil && had.CE == ce
}

// unusable is why the line's prefix cannot be told from an address; "" if it can.
func unusable(i kernel.Inet) string {
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

// OfLine reports whether the line's prefix can be told from an address. From the
// CE address it cannot: that is deprecated, and may be the previous line's.
func OfLine(i kernel.Inet) bool { return unusable(i) == "" }

// global reports whether an address is of the part that IANA gives out (2000::/3).
func global(ip netip.Addr) bool { return netip.MustParsePrefix("2000::/3").Contains(ip) }

// missing is what the machine lacks if none of the candidates can be taken.
func missing(c *schema.Config, wan kernel.Link, f facts.Facts, all []Candidate) error {
	for _, candidate := range all {
		if candidate.Err == nil {
			continue
		}
		has := "has"
		if candidate.Origin == kernel.OriginPD {
			has = "was delegated"
		}
		// NTT's own prefix, which no rule covers, may come before the provider's.
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
