package firewall

import (
	"slices"

	"mape-netplan/reconcile/firewall/ruleset"
	"mape-netplan/reconcile/kernel"
)

// A walk takes one packet through one base chain. A rule of which it is undecided whether it matches does not
// end the walk; what it may have done is remembered.
type walk struct {
	all    []ruleset.Chain
	packet packet
	tunnel string

	rule  *ruleset.Rule // where the walk is
	in    *ruleset.Chain
	depth int // of jumps
	rules int // so far

	over      bool  // a rule has certainly accepted or dropped the packet
	dropped   *drop // by the first rule that drops it or may
	mayAccept bool  // a rule may have accepted the packet
	forTunnel bool  // and that rule names the tunnel
	hits      []hit
}

// A hit is something else that a rule does to the packet.
type hit struct {
	do, to string
	rule   *ruleset.Rule
	in     *ruleset.Chain
	sure   bool
}

// A drop is the end of a packet.
type drop struct {
	packet packet
	rule   *ruleset.Rule // nil is the policy
	in     *ruleset.Chain
	sure   bool
}

// base returns how the packet is dropped, or may be; nil if it is not. Where a rule names the tunnel and lets some packets
// pass, the others are meant to be dropped.
func (w *walk) base(c *ruleset.Chain) *drop {
	left := w.chain(c, yes)
	if w.dropped == nil && !w.over && c.Drop && left >= maybe {
		w.dropped = &drop{packet: w.packet, sure: left == yes && !w.mayAccept}
	}
	if w.forTunnel {
		return nil
	}
	return w.dropped
}

// maxRules is how many rules a packet meets before the walk gives up and takes it for accepted: chains that each jump many
// times could keep a walk busy for ever.
const maxRules = 100_000

// chain walks through the rules of a chain that the packet reaches with such certainty, and returns that of its coming
// back, given that it gets there.
func (w *walk) chain(c *ruleset.Chain, reached likelihood) (back likelihood) {
	if w.depth++; w.depth > 16 { // the kernel's limit
		return maybe
	}
	defer func() { w.depth-- }()
	here := yes
	for i := range c.Rules {
		if w.rules++; w.rules > maxRules {
			w.over = true
		}
		if w.over || here == no {
			break
		}
		w.rule, w.in = &c.Rules[i], c
		next, returned := w.one(&c.Rules[i], c, min(reached, here))
		back = max(back, min(here, returned))
		here = min(here, next)
	}
	return max(back, here)
}

// one runs a rule that is reached with such certainty, and returns that of the packet's going on to the next rule, and that
// of its return to the chain before.
func (w *walk) one(r *ruleset.Rule, c *ruleset.Chain, reached likelihood) (next, returned likelihood) {
	named, match := false, yes
	for _, s := range r.Steps {
		switch s.Do {
		case "":
			if match = min(match, w.packet.test(s)); match == no {
				return yes, no
			}
			named = named || w.names(s)
		case ruleset.DoLookup:
			return w.lookup(s, c, reached, match)
		default:
			if next, returned := w.do(s.Do, s.To, c, r, reached, match, named); next != yes {
				return next, returned
			}
		}
	}
	return yes, no
}

// names reports whether a test is for the tunnel by name.
func (w *walk) names(s ruleset.Step) bool {
	return !s.Not && slices.ContainsFunc(s.Any, func(c ruleset.Case) bool {
		return slices.ContainsFunc(c.Intervals, func(v ruleset.Interval) bool {
			return len(v.From) == 16 && string(v.From) == string(kernel.IfName(w.tunnel)) && string(v.To) == string(v.From)
		})
	})
}

// lookup does what a verdict map has for a packet that passes the tests before it.
func (w *walk) lookup(s ruleset.Step, c *ruleset.Chain, reached, match likelihood) (next, returned likelihood) {
	if s.Unknown && len(s.Any) == 0 {
		return maybe, maybe // Its elements are not known.
	}
	rule, left := w.rule, match // by the elements so far
	next = match.not()
	for _, a := range s.Any {
		t := w.packet.inside(s.Fields, a)
		if s.Unknown {
			t = maybe
		}
		if t = min(left, t); t == no {
			continue
		}
		on, back := w.do(a.Do, a.To, c, rule, reached, t, false)
		next, returned = max(next, min(on, t)), max(returned, back)
		left = min(left, t.not())
	}
	return max(next, left), returned
}

// do does what a rule says with a packet that matches it with such certainty.
func (w *walk) do(what, to string, c *ruleset.Chain, r *ruleset.Rule, reached, match likelihood, named bool) (next, returned likelihood) {
	sure := min(reached, match)
	switch what {
	case ruleset.DoAccept, ruleset.DoDNAT:
		if w.over = w.over || sure == yes; sure != yes {
			w.mayAccept = true
			w.forTunnel = w.forTunnel || named
		}
		return match.not(), no
	case ruleset.DoDrop, ruleset.DoReject:
		if w.dropped == nil && sure >= maybe {
			w.dropped = &drop{w.packet, r, c, sure == yes && !w.mayAccept}
		}
		w.over = w.over || sure == yes
		return match.not(), no
	case ruleset.DoReturn:
		return match.not(), match
	case ruleset.DoJump, ruleset.DoGoto:
		back := yes
		if i := slices.IndexFunc(w.all, func(o ruleset.Chain) bool { return o.Family == c.Family && o.Table == c.Table && o.Name == to }); i >= 0 {
			back = w.chain(&w.all[i], sure)
		}
		if back = min(back, match); what == ruleset.DoGoto {
			return match.not(), back
		}
		return max(match.not(), back), no
	case ruleset.DoMasquerade, ruleset.DoSNAT:
		w.hits = append(w.hits, hit{what, to, r, c, sure == yes})
		return match.not(), no
	case ruleset.DoNoTrack, ruleset.DoFlow:
		w.hits = append(w.hits, hit{what, to, r, c, sure == yes})
	}
	return yes, no
}
