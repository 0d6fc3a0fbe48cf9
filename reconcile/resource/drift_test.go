package resource_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/resource"
)

// TestDrift mends what happens to a gateway, thing by thing, and leaves the rest and what belongs to others alone.
func TestDrift(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Exec(t, "nft", "add table ip others; add chain ip others c { type filter hook input priority 0; }; add rule ip others c counter")
	want := g.StandIn(t)
	g.Converge(t, want)
	g.Drifts(t, want, gatewaytest.FileDrifts)
	g.Drifts(t, want, gatewaytest.LiveDrifts)
	g.Drifts(t, want, gatewaytest.TableDrifts)
}

// TestRollback takes back everything on a real machine, when the last of all writes fails.
func TestRollback(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	want := g.StandIn(t)
	before := g.Snapshot(t)
	b := hosttest.NewBench(map[string]string{})
	b.Broken["last=1"] = fmt.Errorf("no space left")
	g.Do(func() {
		_, err := engine.Converge(t.Context(), g.H, append(want, b.Want("last=1")...))
		if err == nil || err.Error() != "last: no space left\nevery change was rolled back" {
			t.Errorf("the error is %v", err)
		}
	})
	gatewaytest.Unchanged(t, before, g.Snapshot(t))
}

// TestFullDisk leaves no file half-written and no temporary one behind.
func TestFullDisk(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	dir := g.Dir + "/etc/sysctl.d"
	for _, full := range []string{"nr_inodes=1", "size=4k"} {
		// What is mounted goes with the process that mounted it, but for the rest of the test it must stay.
		g.Exec(t, "mount", "-t", "tmpfs", "-o", full, "full", dir)
		t.Cleanup(func() { g.Try("umount", dir) })
		if full == "size=4k" {
			g.Exec(t, "dd", "if=/dev/zero", "of="+dir+"/zero", "bs=4k", "count=1")
		}
		want := slices.DeleteFunc(g.Compile(t, gatewaytest.LineSection), func(r engine.Resource) bool { _, ok := r.(resource.File); return !ok })
		before := g.Snapshot(t)
		g.Do(func() {
			_, err := engine.Converge(t.Context(), g.H, want)
			if err == nil || !strings.Contains(err.Error(), "no space left on device\nevery change was rolled back") {
				t.Errorf("%s: the error is %v", full, err)
			}
		})
		gatewaytest.Unchanged(t, before, g.Snapshot(t))
		g.Exec(t, "umount", dir)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%q is left", left)
	}
}
