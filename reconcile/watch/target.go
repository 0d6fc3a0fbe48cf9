package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/line"
)

// A target is the state that a pass wants the machine to have. The zero value is the state that it has.
type target struct {
	gateway *gateway.Gateway // nil for the guard alone
	want    []engine.Resource
	line    string // for people
}

// differs reports whether the state is another one than what is maintained. Resources that are only wanted absent make
// no difference.
func (t target) differs(maintained []engine.Resource) bool {
	return t.want != nil && (maintained == nil || engine.Rendering(t.want) != engine.Rendering(maintained))
}

// target decides on the state of the machine: the gateway of the line; while there is no line, that of the last one, or
// the guard alone where none is remembered. Where the section makes no gateway, everything stays as it is.
func (w *Watch) target(f facts.Facts, aim gateway.Aim) target {
	if w.sections.valid == nil {
		return guardOnly(gateway.GuardOf(nil, f), nil)
	}
	g, err := aim.Gateway, aim.Err
	if g != nil {
		w.logForwards(g)
	}
	switch {
	case err == nil:
		w.ended("line", "the line is up")
		return target{g, w.Compile(gateway.Transition{}, g, f), g.String()}
	case errors.Is(err, discovery.ErrWithdrawn):
		w.problem("line", Failure, err.Error())
		return w.withdrawn(aim.Line, f)
	case aim.Held() && aim.Bad():
		w.problem("line", Failure, aim.Why())
		return target{g, w.Compile(gateway.Transition{}, g, f), g.String()}
	case aim.Held():
		w.problem("line", Notice, aim.Why())
		return target{g, w.Compile(gateway.Transition{}, g, f), g.String()}
	case !errors.Is(err, line.ErrNotYet):
		w.problem("line", Failure, err.Error())
		switch {
		case w.applied != nil:
			return target{}
		case aim.Refused && len(f.Owned.Files) == 0: // No earlier run has left a tunnel to guard.
			return target{want: []engine.Resource{}, line: "no gateway"}
		}
		return guardOnly(gateway.GuardOf(w.sections.valid, f), nil)
	case w.applied != nil:
		w.problem("line", Warning, fmt.Sprintf("waiting: %v; keeping everything as it is until then", err))
		return target{}
	}
	w.problem("line", Notice, fmt.Sprintf("waiting: %v", err))
	return guardOnly(gateway.GuardOf(w.sections.valid, f), w.requests(aim.Line, f))
}

// requests is what makes networkd ask for the prefix that the line may be waiting for. Where that cannot be told now, it
// is what was requested before. No gateway was applied.
func (w *Watch) requests(l line.Line, f facts.Facts) []engine.Resource {
	all, err := gateway.PrefixRequest(w.sections.valid, l, f)
	if err == nil {
		w.forget("prefix request")
		return all
	}
	if !errors.Is(err, line.ErrNotYet) {
		w.problem("prefix request", Failure, err.Error())
	}
	return slices.DeleteFunc(slices.Clone(w.want), isKernels)
}

// logForwards logs the forwards that are off.
func (w *Watch) logForwards(g *gateway.Gateway) {
	if len(g.Off) == 0 {
		w.forget("forwards")
		return
	}
	w.problem("forwards", Failure, gateway.OffText(g.Off))
}

// guardOnly is the guard, which keeps one that is there and as good, and the requests that the line needs to come up.
func guardOnly(g gateway.Guard, requests []engine.Resource) target {
	why := "the last line"
	if g.Why != nil {
		why = g.Why.Error()
	}
	return target{want: append([]engine.Resource{gateway.AnyGuard{Guard: g}}, requests...), line: "guard only: " + why}
}

// withdrawn is the machine without a gateway.
func (w *Watch) withdrawn(l line.Line, f facts.Facts) target {
	const text = "no gateway: the line has withdrawn its service"
	if w.want != nil && w.line == text {
		return target{} // The files that told what there was to undo are gone.
	}
	want := gateway.Withdrawn(w.sections.valid, l, f, func(g *gateway.Gateway, f facts.Facts) []engine.Resource {
		return w.Compile(gateway.Transition{}, g, f)
	})
	return target{want: want, line: text}
}

// unreadableOf is a host.Unread of what daemons have of a target and cannot be read, such as a directory or another
// program's file at one of our paths. Packets do not depend on it, so that the kernel's part does not wait for it.
func unreadableOf(ctx context.Context, h *host.Host, want []engine.Resource) error {
	var unread host.Unread
	for _, r := range want {
		if isKernels(r) {
			continue
		}
		if _, err := r.Read(ctx, h); err != nil {
			unread = append(unread, host.FileError{Path: cmp.Or(r.Traits().Path, r.Name()), Err: err})
		}
	}
	return unread.Err()
}

// logUnreadable logs which files a look could not read, if any, and returns when to look again; 0 is with the next event.
// netplan's generator stops at such a file as well.
func (w *Watch) logUnreadable(err error) (again time.Duration) {
	if err == nil {
		w.ended("look", "all files can be read again")
		return 0
	}
	var all []string
	var unread host.Unread
	_ = unread.Add(err)
	for _, e := range unread {
		what := "cannot read "
		if !path.IsAbs(e.Path) { // It is no file, but a daemon's answer.
			what = "cannot look at "
		}
		all = append(all, what+e.Error())
	}
	w.problem("look", Failure, strings.Join(all, "; ")+"\nuntil that is corrected, netplan generate and changes to files are postponed; the gateway stays as it is")
	return w.timings.unreadable
}

// withoutFiles is as much of a target as depends on no file of netplan or networkd: what their files have to say depends
// on those that cannot be read.
func (w *Watch) withoutFiles(t target, f facts.Facts) target {
	switch {
	case t.gateway == nil && w.want == nil:
		return guardOnly(gateway.GuardOf(w.sections.valid, f), nil)
	case t.gateway == nil:
		return target{}
	}
	if t.want = kernelOnly(t.want); engine.Rendering(t.want) == engine.Rendering(kernelOnly(w.want)) {
		return target{}
	}
	return t
}

// kernelOnly lists the resources that are the kernel's alone.
func kernelOnly(all []engine.Resource) []engine.Resource {
	return slices.DeleteFunc(slices.Clone(all), func(r engine.Resource) bool { return !isKernels(r) })
}

func isKernels(r engine.Resource) bool { return !r.Traits().Daemon }

// maintained lists what is restored when it drifts: what was applied, or the guard where nothing was yet. While a file
// cannot be read, netplan's generator is not among it: it would stop there.
func (w *Watch) maintained() []engine.Resource {
	switch {
	case w.want == nil:
		f, _ := facts.Remembered(w.Host) // The look has logged which files cannot be read.
		return guardOnly(gateway.GuardOf(w.sections.valid, f), nil).want
	case w.unreadable:
		return slices.DeleteFunc(slices.Clone(w.want), func(r engine.Resource) bool { return r.Traits().Shared })
	}
	return w.want
}
