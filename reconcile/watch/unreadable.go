package watch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
)

// logUnreadable logs which files a look could not read, if any, and returns when to look again; 0 is with the next event.
// netplan's generator stops at such a file as well.
func (w *Watch) logUnreadable(err error) (again time.Duration) {
	if err == nil {
		w.resolved("look")
		return 0
	}
	files := strings.ReplaceAll(err.Error(), "\n", "; and ")
	w.logOnce("look", Failure, fmt.Sprintf("cannot read %s\nuntil that is corrected, netplan generate and changes to files are postponed; the gateway stays as it is", files))
	return w.pace.unreadable
}

// unreadableOf is a host.Unread of what daemons have of a desired state and cannot be read, such as a directory or another
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

// withoutFiles is as much of a desired state as depends on no file of netplan or networkd: what their files have to say
// depends on those that cannot be read.
func (w *Watch) withoutFiles(d desired, f facts.Facts) desired {
	switch {
	case d.gateway == nil && w.want == nil:
		return w.guardOnly(gateway.GuardOf(w.section, f), nil)
	case d.gateway == nil:
		return desired{}
	}
	if d.want = kernelOnly(d.want); engine.Rendering(d.want) == engine.Rendering(kernelOnly(w.want)) {
		return desired{}
	}
	return d
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
		return w.guardOnly(gateway.GuardOf(w.section, f), nil).want
	case w.unreadable:
		return slices.DeleteFunc(slices.Clone(w.want), func(r engine.Resource) bool { return r.Traits().Shared })
	}
	return w.want
}
