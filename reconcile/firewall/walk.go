package firewall

import (
	"slices"

	"mape-netplan/reconcile/firewall/ruleset"
	"mape-netplan/reconcile/kernel"
)

// A walk takes one packet through one base chain. What cannot be decided about a rule is doubt: a rule that only may
// match ends nothing, and what it would have done is remembered.
type walk struct {
	all    []ruleset.Chain
	packet packet
	tunnel string

	rule *ruleset.Rule // where the walk is
	in   *ruleset.Chain
	deep int
	far  int // rules so far

	let    bool // a rule may have accepted the packet
	chosen bool // and that rule names the tunnel
	hits   []hit
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
	on       end = iota // the next one comes
	accepted            // by this base chain
	dropped
	returned // to the chain before
	doubtful // may have been any of these
)

// base says whether the packet is dropped. Where somebody wrote a rule about the tunnel that lets some packets pass, the
// others are meant to be dropped.
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
	d.sure = !w.let
	return d, !w.chosen
}

// farthest is how many rules a packet meets before there is no opinion about it: chains that go to others many times
// over, each of which does the same, could keep a walk busy for ever.
const farthest = 100_000

// chain walks through the rules of one; sure says whether the packet gets there at all.
func (w *walk) chain(c *ruleset.Chain, sure tri) end {
	if w.deep++; w.deep > 16 { // the kernel's limit
		return doubtful
	}
	defer func() { w.deep-- }()
	for i := range c.Rules {
		if w.far++; w.far > farthest {
			return accepted
		}
		w.rule, w.in = &c.Rules[i], c
		switch e := w.one(&c.Rules[i], c, sure); e {
		case on:
		case doubtful:
			sure = maybe
		default:
			return e
		}
	}
	return on
}

// one runs a rule.
func (w *walk) one(r *ruleset.Rule, c *ruleset.Chain, sure tri) end {
	named := false
	for _, s := range r.Steps {
		switch s.Do {
		case "":
			if sure = min(sure, w.packet.test(s)); sure == no {
				return on
			}
			named = named || w.names(s)
		case ruleset.DoLookup:
			return w.lookup(s, c, sure)
		default:
			if e := w.do(s.Do, s.To, c, r, sure, named); e != on {
				return e
			}
		}
	}
	return on
}

// names says whether a test that was passed is for the tunnel by name.
func (w *walk) names(s ruleset.Step) bool {
	return !s.Not && slices.ContainsFunc(s.Any, func(c ruleset.Case) bool {
		return slices.ContainsFunc(c.Intervals, func(v ruleset.Interval) bool {
			return len(v.From) == 16 && string(v.From) == string(kernel.IfName(w.tunnel)) && string(v.To) == string(v.From)
		})
	})
}

// lookup does what a verdict map has for the packet.
func (w *walk) lookup(s ruleset.Step, c *ruleset.Chain, sure tri) end {
	rule, doubt := w.rule, false
	for _, a := range s.Any {
		t := w.packet.inside(s.Fields, a)
		if s.Unknown {
			t = maybe
		}
		if t == no {
			continue
		}
		if doubt {
			t = maybe
		}
		e := w.do(a.Do, a.To, c, rule, min(sure, t), false)
		if t == yes || e == doubtful {
			return e
		}
		doubt = true
	}
	if s.Unknown && len(s.Any) == 0 {
		return doubtful // Its elements are not known.
	}
	return on
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
		e := on
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
	return on
}

func (w *walk) accept(sure tri, named bool) {
	if sure == maybe {
		w.let = true
		w.chosen = w.chosen || named
	}
}

// ends is how a rule ends that ends that way if it matches. That a packet may have been accepted is remembered already,
// and the walk goes on with those that were not.
func (w *walk) ends(e end, sure tri) end {
	switch {
	case sure == yes:
		return e
	case e == returned:
		return doubtful
	}
	return on
}
