package watch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
)

// blindPause is how soon files that cannot be read are read again. Most wake the
// watch when they are corrected; one that a link leads to does not.
const blindPause = 5 * time.Second

// sight says which files a look could not read, if any, and when to look again.
// netplan's generator stops at such a file as well.
func (w *Watch) sight(err error) (again time.Duration) {
	if err == nil {
		w.fine("look")
		return 0
	}
	files := strings.ReplaceAll(err.Error(), "\n", "; and ")
	w.complain("look", Failure, fmt.Sprintf("cannot read %s\nuntil that is corrected, netplan generate and new text for files wait; what was made is kept", files))
	return blindPause
}

// inKernel is as much of an aim as hangs on no file of netplan or networkd: how a
// file makes the same last until the next boot depends on the one that cannot be
// read. Where the kernel is to stay as it is, everything is.
func (w *Watch) inKernel(t aim, f facts.Facts) aim {
	switch {
	case t.gateway == nil && w.want == nil:
		return w.guarded(gateway.GuardOf(w.section, f), nil)
	case t.gateway == nil:
		return aim{}
	}
	if t.want = kernels(t.want); engine.Rendering(t.want) == engine.Rendering(kernels(w.want)) {
		return aim{}
	}
	return t
}

// kernels are the resources that are the kernel's alone.
func kernels(all []engine.Resource) []engine.Resource {
	return slices.DeleteFunc(slices.Clone(all), func(r engine.Resource) bool { return !isKernels(r) })
}

func isKernels(r engine.Resource) bool { return !r.Traits().Daemon }

// kept is what is to be mended: what was made, or the guard where that is
// nothing yet. netplan's generator is not run while it would stop at a file.
func (w *Watch) kept() []engine.Resource {
	switch {
	case w.want == nil:
		f, _ := facts.Remembered(w.Host) // The look has said which files it cannot read.
		return w.guarded(gateway.GuardOf(w.section, f), nil).want
	case w.blind:
		return slices.DeleteFunc(slices.Clone(w.want), func(r engine.Resource) bool { return r.Traits().Shared })
	}
	return w.want
}
