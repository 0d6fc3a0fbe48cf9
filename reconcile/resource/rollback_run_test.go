package resource_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/resource"
)

// TestRollbackLeavesTheGuard does not say that all is back where what the run did before it converged is not.
func TestRollbackLeavesTheGuard(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	want := g.Compile(t, gatewaytest.LineSection)
	want = slices.DeleteFunc(want, func(r engine.Resource) bool { _, ok := r.(resource.File); return !ok })
	b := hosttest.NewBench(map[string]string{})
	b.Broken["last=1"] = errors.New("no space left")
	b.Written = func(write string) {
		if write == "last=1" {
			g.Exec(t, "ip", "link", "add", "mape0", "type", "bridge") // Only a guard makes that safe.
		}
	}
	g.Do(func() {
		run := reconcile.NewRun(g.H)
		if _, made, err := run.PutGuard(t.Context(), gatewaytest.SectionOf(t, gatewaytest.LineSection)); !made || err != nil {
			t.Fatal(made, err)
		}
		changes, err := run.Converge(t.Context(), append(want, b.Want("last=1")...))
		if err == nil || strings.Contains(err.Error(), "every change") || !strings.Contains(err.Error(), "\ntable ip mape stays") {
			t.Errorf("the error is %v", err)
		}
		if !slices.Equal(hosttest.Names(changes), []string{"table ip mape"}) {
			t.Errorf("what is left is %q", hosttest.Names(changes))
		}
	})
}

// TestUnaskNames names what of asking for a delegation cannot be taken back, once.
func TestUnaskNames(t *testing.T) {
	h, _ := hosttest.HostOf(t, "-- etc/asks/file --\n"+host.Heading)
	b := hosttest.NewBench(map[string]string{"reload": "1"})
	b.Broken["reload="] = errors.New("no answer")
	run := reconcile.NewRun(h)
	run.Requested = []engine.Change{{Before: resource.File{Path: "/etc/asks/file"}, After: resource.File{Path: "/etc/asks/file", Mode: 0o600, Data: host.Heading}}, {Before: b.Want("reload=")[0], After: b.Want("reload=1")[0]}}
	left, err := run.TakeBack(t.Context())
	if err == nil || err.Error() != "rolling back: reload: no answer: left behind: reload (is half)" || !slices.Equal(hosttest.Names(left), []string{"reload"}) {
		t.Errorf("%q is left: %v", hosttest.Names(left), err)
	}
	if h.IsRegular("/etc/asks/file") {
		t.Error("the file is still there")
	}
	if left, err := run.TakeBack(t.Context()); left != nil || err != nil {
		t.Errorf("the second time %q is left: %v", hosttest.Names(left), err)
	}
}
