package reconcile

import (
	"slices"

	"mape-netplan/reconcile/nft"
)

// A walk takes one packet through one base chain. What cannot be decided about a rule is doubt: a rule that only may
// match ends nothing, and what it would have done is remembered.
type walk struct {
	all    []nft.ForeignChain
	packet packet
	tunnel string

	rule *nft.ForeignRule // where the walk is
	in   *nft.ForeignChain
	deep int
	far  int // rules so far

	let    bool // a rule may have accepted the packet
	chosen bool // and that rule names the tunnel
	hits   []hit
}

// A hit is something else that a rule does to the packet.
type hit struct {
	do, to string
	rule   *nft.ForeignRule
	in     *nft.ForeignChain
	sure   bool
}

// A drop is the end of a packet.
type drop struct {
	packet packet
	rule   *nft.ForeignRule // nil is the policy
	in     *nft.ForeignChain
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
func (w *walk) base(c *nft.ForeignChain) (drop, bool) {
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
func (w *walk) chain(c *nft.ForeignChain, sure tri) end {
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
func (w *walk) one(r *nft.ForeignRule, c *nft.ForeignChain, sure tri) end {
	named := false
	for _, s := range r.Steps {
		switch s.Do {
		case "":
			if sure = min(sure, w.packet.test(s)); sure == no {
				return on
			}
			named = named || w.names(s)
		case nft.DoLookup:
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
func (w *walk) names(s nft.Step) bool {
	return !s.Not && slices.ContainsFunc(s.Any, func(c nft.Case) bool {
		return slices.ContainsFunc(c.Intervals, func(v nft.Interval) bool {
			return len(v.From) == 16 && string(v.From) == string(ifname(w.tunnel)) && string(v.To) == string(v.From)
		})
	})
}

// lookup does what a verdict map has for the packet.
func (w *walk) lookup(s nft.Step, c *nft.ForeignChain, sure tri) end {
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
func (w *walk) do(what, to string, c *nft.ForeignChain, r *nft.ForeignRule, sure tri, named bool) end {
	switch what {
	case nft.DoAccept, nft.DoDNAT:
		w.accept(sure, named)
		return w.ends(accepted, sure)
	case nft.DoDrop, nft.DoReject:
		if sure == yes {
			return dropped
		}
	case nft.DoReturn:
		return w.ends(returned, sure)
	case nft.DoJump, nft.DoGoto:
		e := on
		if i := slices.IndexFunc(w.all, func(o nft.ForeignChain) bool { return o.Family == c.Family && o.Table == c.Table && o.Name == to }); i >= 0 {
			e = w.chain(&w.all[i], sure)
		}
		if e == accepted || e == dropped {
			return e
		}
		if what == nft.DoGoto {
			return w.ends(returned, sure)
		}
	case nft.DoMasquerade, nft.DoSNAT:
		w.hits = append(w.hits, hit{what, to, r, c, sure == yes})
		return w.ends(accepted, sure)
	case nft.DoNoTrack, nft.DoFlow:
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
