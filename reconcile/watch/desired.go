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

// A desired is the state that a pass wants the machine to have. The zero value is whatever it has.
type desired struct {
	gateway *gateway.Gateway // nil for the guard alone
	want    []engine.Resource
	line    string // for people
}

// differs reports whether the state is another one than what is maintained. Resources that are only wanted absent make
// no difference.
func (d desired) differs(maintained []engine.Resource) bool {
	return d.want != nil && (maintained == nil || engine.Rendering(d.want) != engine.Rendering(maintained))
}

// desired decides on the state of the machine: the gateway of the line; while there is no line, that of the last one, or
// the guard alone where none is remembered. Where the section makes no gateway, everything stays as it is.
func (w *Watch) desired(f facts.Facts, aim gateway.Aim) desired {
	if w.section == nil {
		return w.guardOnly(gateway.GuardOf(nil, f), nil)
	}
	g, err := aim.Gateway, aim.Err
	if g != nil {
		w.logForwards(g)
	}
	switch {
	case err == nil:
		w.resolved("line")
		if !w.unreadable { // What is missed may be in a file that cannot be read.
			w.warn("warning: ", g.Warnings)
		}
		return desired{g, w.Compile(gateway.Transition{}, g, f), g.String()}
	case errors.Is(err, discovery.ErrWithdrawn):
		w.logOnce("line", Failure, err.Error())
		return w.withdrawn(f)
	case aim.Held():
		w.logOnce("line", Notice, aim.Why())
		return desired{g, w.Compile(gateway.Transition{}, g, f), g.String()}
	case !errors.Is(err, line.ErrNotYet):
		w.logOnce("line", Failure, err.Error())
		if w.want != nil {
			return desired{}
		}
		return w.guardOnly(gateway.GuardOf(w.section, f), nil)
	case w.want != nil:
		w.logOnce("line", Warning, fmt.Sprintf("waiting: %v; keeping everything as it is until then", err))
		return desired{}
	}
	w.logOnce("line", Notice, fmt.Sprintf("waiting: %v", err))
	// The line may be waiting for a request of ours, for a delegated prefix.
	asking, err := gateway.PrefixRequest(w.section, aim.Line, f)
	if err != nil && !errors.Is(err, line.ErrNotYet) {
		w.logOnce("asking", Failure, err.Error())
	}
	return w.guardOnly(gateway.GuardOf(w.section, f), asking)
}

// guardOnly is the guard, which keeps one that is there and as good, and the requests that the line needs to come up.
func (w *Watch) guardOnly(g gateway.Guard, requests []engine.Resource) desired {
	why := "the last line"
	if g.Why != nil {
		why = g.Why.Error()
	}
	return desired{want: append([]engine.Resource{gateway.AtLeast{Guard: g}}, requests...), line: "guard only: " + why}
}

// withdrawn is the machine without a gateway. When the line was asked stays known: it will be asked again.
func (w *Watch) withdrawn(f facts.Facts) desired {
	const line = "no gateway: the line has withdrawn its service"
	if w.want != nil && w.line == line {
		return desired{} // The files that told what there was to undo are gone.
	}
	f.Discovered = nil
	return desired{want: w.Compile(gateway.Transition{}, nil, f), line: line}
}
