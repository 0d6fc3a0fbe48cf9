// Package line finds which interface, which prefix and which rule a section means on a machine.
package line

import (
	"errors"
	"slices"
	"sync/atomic"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/provider"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// A Line is what a section means on a machine: which interfaces, which prefix, which rule and so which softwire. It is
// found once by [Find]; all else takes it.
type Line struct {
	// WAN is the interface towards the provider, LAN are those towards the home. Where they are not known NoWAN and NoLAN
	// are why.
	WAN          kernel.Link
	LAN          []string
	NoWAN, NoLAN error
	// Candidates are the prefixes of the WAN, the one that is taken first; none where the section gives the prefix.
	Candidates []Candidate
	// Provider is that of the built-in rule that made the softwire, if one did, or "discover", with what the line's server
	// calls the service.
	Provider string
	Service  string
	Softwire softwire.Softwire
	// Asks: the section leaves the rules to the line, which is asked for them.
	Asks bool
	// Recalled: the line is the one that this machine's own files were made for.
	Recalled bool
}

// Find finds the line of a section. Only what the section does not give is looked up in the facts. Where there is no
// softwire, the error says why, and the rest of the line is what could be found.
func Find(c *schema.Config, f facts.Facts) (Line, error) {
	finds.Add(1)
	l := Line{Asks: c.Provider == discovery.Discover}
	if l.WAN, l.NoWAN = wan(c, f); l.NoWAN == nil {
		l.LAN, l.NoLAN = lan(c, f, l.WAN.Name)
	} else {
		l.NoLAN = l.NoWAN
	}
	var m mapping
	var err error
	if l.NoWAN == nil && !c.Prefix.IsValid() {
		l.Candidates = candidates(c, l.WAN, f)
	}
	switch {
	case c.Softwire != nil:
		m, err = given(c)
	case c.Prefix.IsValid():
		m, err = derive(c, f, c.Prefix)
		if err != nil && !errors.Is(err, ErrNotYet) && !errors.Is(err, discovery.ErrWithdrawn) {
			err = problem(c, "prefix", err)
		}
	case l.NoWAN != nil:
		err = l.NoWAN
	default:
		if c.Provider == provider.Auto {
			l.Asks = !slices.ContainsFunc(l.Candidates, func(c Candidate) bool { return c.Reason == "" && c.mapping.provider != discovery.Discover })
		}
		if len(l.Candidates) > 0 && l.Candidates[0].Reason == "" {
			m = l.Candidates[0].mapping
		} else {
			err = NotYet{missing(c, l.WAN, f, l.Candidates)}
		}
	}
	l.Provider, l.Service, l.Softwire = m.provider, m.service, m.softwire
	return l, err
}

// finds counts the calls of Find, for the tests that hold a run to one.
var finds atomic.Int64

// A mapping is what a prefix comes to.
type mapping struct {
	provider, service string
	softwire          softwire.Softwire
}
