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

	mayAccept bool // a rule may have accepted the packet
	forTunnel bool // and that rule names the tunnel
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

// How a chain or a rule ends.
type end int

const (
	next     end = iota // the next rule follows
	accepted            // by this base chain
	dropped
	returned  // to the chain before
	undecided // any of these
)

// base reports whether the packet is dropped. Where a rule names the tunnel and lets some packets pass, the others are meant to
// be dropped.
func (w *walk) base(c *ruleset.Chain) (drop, bool) {
	d := drop{packet: w.packet}
	switch e := w.chain(c, yes); {
	case e == accepted:
		return d, false
	case e == dropped:
		d.rule, d.in = w.rule, w.in
	case !c.Drop:
		return d, false
	}
	d.sure = !w.mayAccept
	return d, !w.forTunnel
}

// maxRules is how many rules a packet meets before the walk gives up and takes it for accepted: chains that each jump many
// times could keep a walk busy for ever.
const maxRules = 100_000

// chain walks through the rules of a chain, which the packet may not reach where sure is maybe.
func (w *walk) chain(c *ruleset.Chain, sure tri) end {
	if w.depth++; w.depth > 16 { // the kernel's limit
		return undecided
	}
	defer func() { w.depth-- }()
	for i := range c.Rules {
		if w.rules++; w.rules > maxRules {
			return accepted
		}
		w.rule, w.in = &c.Rules[i], c
		switch e := w.one(&c.Rules[i], c, sure); e {
		case next:
		case undecided:
			sure = maybe
		default:
			return e
		}
	}
	return next
}

// one runs a rule.
func (w *walk) one(r *ruleset.Rule, c *ruleset.Chain, sure tri) end {
	named := false
	for _, s := range r.Steps {
		switch s.Do {
		case "":
			if sure = min(sure, w.packet.test(s)); sure == no {
				return next
			}
			named = named || w.names(s)
		case ruleset.DoLookup:
			return w.lookup(s, c, sure)
		default:
			if e := w.do(s.Do, s.To, c, r, sure, named); e != next {
				return e
			}
		}
	}
	return next
}

// names reports whether a test is for the tunnel by name.
func (w *walk) names(s ruleset.Step) bool {
	return !s.Not && slices.ContainsFunc(s.Any, func(c ruleset.Case) bool {
		return slices.ContainsFunc(c.Intervals, func(v ruleset.Interval) bool {
			return len(v.From) == 16 && string(v.From) == string(kernel.IfName(w.tunnel)) && string(v.To) == string(v.From)
		})
	})
}

// lookup does what a verdict map has for the packet.
func (w *walk) lookup(s ruleset.Step, c *ruleset.Chain, sure tri) end {
	rule, earlier := w.rule, false
	for _, a := range s.Any {
		t := w.packet.inside(s.Fields, a)
		if s.Unknown {
			t = maybe
		}
		if t == no {
			continue
		}
		if earlier { // An earlier element may match.
			t = maybe
		}
		e := w.do(a.Do, a.To, c, rule, min(sure, t), false)
		if t == yes || e == undecided {
			return e
		}
		earlier = true
	}
	if s.Unknown && len(s.Any) == 0 {
		return undecided // Its elements are not known.
	}
	return next
}

// do does what a rule says.
func (w *walk) do(what, to string, c *ruleset.Chain, r *ruleset.Rule, sure tri, named bool) end {
	switch what {
	case ruleset.DoAccept, ruleset.DoDNAT:
		w.accept(sure, named)
		return w.ends(accepted, sure)
	case ruleset.DoDrop, ruleset.DoReject:
		if sure == yes {
			return dropped
		}
	case ruleset.DoReturn:
		return w.ends(returned, sure)
	case ruleset.DoJump, ruleset.DoGoto:
		e := next
		if i := slices.IndexFunc(w.all, func(o ruleset.Chain) bool { return o.Family == c.Family && o.Table == c.Table && o.Name == to }); i >= 0 {
			e = w.chain(&w.all[i], sure)
		}
		if e == accepted || e == dropped {
			return e
		}
		if what == ruleset.DoGoto {
			return w.ends(returned, sure)
		}
	case ruleset.DoMasquerade, ruleset.DoSNAT:
		w.hits = append(w.hits, hit{what, to, r, c, sure == yes})
		return w.ends(accepted, sure)
	case ruleset.DoNoTrack, ruleset.DoFlow:
		w.hits = append(w.hits, hit{what, to, r, c, sure == yes})
	}
	return next
}

func (w *walk) accept(sure tri, named bool) {
	if sure == maybe {
		w.mayAccept = true
		w.forTunnel = w.forTunnel || named
	}
}

// ends is how a rule ends that ends that way if it matches. That a packet may have been accepted is remembered already,
// and the walk goes on with those that were not.
func (w *walk) ends(e end, sure tri) end {
	switch {
	case sure == yes:
		return e
	case e == returned:
		return undecided
	}
	return next
}
