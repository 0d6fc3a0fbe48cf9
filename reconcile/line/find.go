// Package line finds which interface, which prefix and which rule a section means on a machine.
package line

import (
	"cmp"
	"net/netip"
	"slices"
	"sync/atomic"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/provider"
	"mape-netplan/reconcile/provider/registration"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// A Line is what a section means on a machine: which interfaces, which prefix, which rule and so which softwire. It is
// found once by [Find]; all else takes it.
type Line struct {
	// WAN is the interface towards the provider, LAN are those towards the home. NoWAN and NoLAN are the errors where they
	// cannot be told.
	WAN          kernel.Link
	LAN          []string
	NoWAN, NoLAN error
	// Likely is the name of the WAN or, where that cannot be told, of the interface that it most likely is; "" if unknown.
	Likely string
	// Candidates are the prefixes of the WAN, the one that is taken first; none where the section gives the prefix.
	Candidates []Candidate
	// Provider is that of the built-in rule that made the softwire, if one did, or "discover", with what the line's server
	// calls the service.
	Provider string
	Service  string
	Softwire softwire.Softwire
	// FarEnd is the name of the softwire's far end, which the line's resolvers are asked for; "" where it is an address.
	FarEnd string
	// Contract is by which the CE address is registered with the provider; nil where it is not.
	Contract *registration.Contract
	// Asks: the section leaves the rules to the line, which is asked for them.
	Asks bool
	// Elsewhere: the section is for a line that this machine is not on.
	Elsewhere bool
	// Recalled: the line is the one that this machine's own files were made for.
	Recalled bool
}

// Find finds the line of a section. Only what the section does not give is looked up in the facts. Without a softwire the
// error tells why, and the rest of the line is what could be found.
//
// Each look at a machine calls it once.
func Find(c *schema.Config, f facts.Facts) (Line, error) {
	found.Add(1)
	return find(c, f)
}

// Suppose finds the line that another section would mean on the machine: the last good one, or one that doctor tries.
func Suppose(c *schema.Config, f facts.Facts) (Line, error) {
	supposed.Add(1)
	return find(c, f)
}

// Recall finds the line that the program's own files were last made for: what the section leaves open is the prefix that
// the remembered CE address is in, and the WAN that has it. It reports false where none is remembered.
func Recall(c *schema.Config, f facts.Facts) (Line, bool, error) {
	r := *c
	if r.Softwire == nil && !r.Prefix.IsValid() && !(r.IPIP != nil && r.IPIP.CE.IsValid()) {
		if f.Owned.Memory == nil {
			return Line{}, false, nil
		}
		r.Prefix = netip.PrefixFrom(f.Owned.Memory.CE, 128)
	}
	wan := f.Owned.Wan()
	if l, there := f.Link(r.WAN); there && l.Name != wan {
		if _, there := f.Link(wan); there {
			return Line{}, false, nil // It was on another WAN, and stays there.
		}
	}
	r.WAN = cmp.Or(r.WAN, wan)
	recalled.Add(1)
	l, err := find(&r, f)
	l.Recalled = true
	return l, true, err
}

var found, recalled, supposed atomic.Int64

// Counts is how often this process has found a line, recalled one and supposed one.
type Counts struct{ Found, Recalled, Supposed int64 }

// Counted returns the counts so far. Tests hold a run to one Find by them.
func Counted() Counts { return Counts{found.Load(), recalled.Load(), supposed.Load()} }

func find(c *schema.Config, f facts.Facts) (Line, error) {
	l := Line{Asks: discovery.Asks(c.Provider)}
	if l.WAN, l.NoWAN = wan(c, f); l.NoWAN == nil {
		l.LAN, l.NoLAN = lan(c, f, l.WAN.Name)
	} else {
		l.NoLAN = l.NoWAN
	}
	l.Likely = likely(c, f, l)
	if l.NoWAN == nil && !c.Prefix.IsValid() {
		l.Candidates = candidates(c, l.WAN, f)
	}
	m, ok, err := given(c, f)
	switch {
	case ok:
	case l.NoWAN != nil:
		err = l.NoWAN
	default:
		if c.Provider == provider.Auto {
			l.Asks = !slices.ContainsFunc(l.Candidates, func(c Candidate) bool { return c.Usable && c.mapping.provider != discovery.Discover })
		}
		if len(l.Candidates) > 0 && l.Candidates[0].Usable {
			m = l.Candidates[0].mapping
		} else {
			if i := slices.IndexFunc(l.Candidates, func(c Candidate) bool { return c.mapping.farEnd != "" }); i >= 0 {
				l.FarEnd = l.Candidates[i].mapping.farEnd // for which the line is asked
			}
			err = NotYet{missing(c, l.WAN, f, l.Candidates)}
		}
	}
	l.Provider, l.Service, l.Softwire = m.provider, m.service, m.softwire
	l.FarEnd = cmp.Or(m.farEnd, l.FarEnd)
	l.Contract = contract(c)
	l.Elsewhere = elsewhere(c, f, l.Softwire.CE())
	return l, err
}
