package watch

import (
	"errors"
	"fmt"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/line"
)

// An aim is what a pass wants the machine to be.
type aim struct {
	gateway *gateway.Gateway // nil is the guard alone
	want    []engine.Resource
	line    string // in words
}

// changed says whether an aim is something else than what was made: one that
// is the same but for what earlier runs left behind is not.
func (t aim) changed(made []engine.Resource) bool {
	return t.want != nil && (made == nil || engine.Rendering(t.want) != engine.Rendering(made))
}

// aim is what a pass makes of the machine. While the line is not there it is the
// last one; where none is remembered, the guard alone. Where nothing can be made
// of the section, it is nothing: whatever was made stays.
func (w *Watch) aim(f facts.Facts, at gateway.Aim) aim {
	if w.section == nil {
		return w.guarded(gateway.GuardOf(nil, f), nil)
	}
	g, err := at.Gateway, at.Err
	if g != nil {
		w.tell(g)
	}
	switch {
	case err == nil:
		w.fine("line")
		if !w.blind { // Else what is missed may be in the file.
			w.warn("warning: ", g.Warnings)
		}
		return aim{g, w.Compile(gateway.Order{}, g, f), g.String()}
	case errors.Is(err, discovery.ErrWithdrawn):
		w.complain("line", Failure, err.Error())
		return w.withdrawn(f)
	case at.Held():
		w.complain("line", Notice, at.Why())
		return aim{g, w.Compile(gateway.Order{}, g, f), g.String()}
	case !errors.Is(err, line.ErrNotYet):
		w.complain("line", Failure, err.Error())
		if w.want != nil {
			return aim{}
		}
		return w.guarded(gateway.GuardOf(w.section, f), nil)
	case w.want != nil:
		w.complain("line", Warning, fmt.Sprintf("waiting: %v; until then everything stays as it is", err))
		return aim{}
	}
	w.complain("line", Notice, fmt.Sprintf("waiting: %v", err))
	// What the line waits for may have to be asked for.
	asking, err := gateway.PrefixRequest(w.section, at.Line, f)
	if err != nil && !errors.Is(err, line.ErrNotYet) {
		w.complain("asking", Failure, err.Error())
	}
	return w.guarded(gateway.GuardOf(w.section, f), asking)
}

// guarded is the guard alone, where none is that holds as well, and what is
// needed for the line to come.
func (w *Watch) guarded(g gateway.Guard, more []engine.Resource) aim {
	why := "the line"
	if g.Why != nil {
		why = g.Why.Error()
	}
	return aim{want: append([]engine.Resource{gateway.AtLeast{Guard: g}}, more...), line: "the guard alone: " + why}
}

// withdrawn is the machine without a gateway. When the line was asked stays
// known: it is asked again.
func (w *Watch) withdrawn(f facts.Facts) aim {
	const line = "none: the line has withdrawn its service"
	if w.want != nil && w.line == line {
		return aim{} // The files that told what there was to undo are gone.
	}
	f.Discovered = nil
	return aim{want: w.Compile(gateway.Order{}, nil, f), line: line}
}
