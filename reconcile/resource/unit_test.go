package resource_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/resource"
)

// openBooted opens this machine, which systemd must run: the VM tier runs these tests inside the VM.
func openBooted(t *testing.T) *host.Host {
	t.Helper()
	h, err := host.Open("")
	if err == nil && h.Booted() && os.Geteuid() == 0 {
		return h
	}
	if os.Getenv("MAPE_VM") == "1" {
		t.Fatalf("not a machine that systemd runs: %v", err)
	}
	t.Skip("needs root on a machine that systemd runs: the VM tier runs this inside the VM")
	return nil
}

// unitFile is a unit as the program writes them, to be run by a copy of sleep.
func unitFile(execStart string) resource.File {
	return resource.File{Path: "/etc/systemd/system/mape-test.service", Mode: 0o644, Data: host.Mark + " tests\n[Service]\nExecStart=" + execStart + "\nExecStop=/bin/true\n"}
}

// TestUnit starts a unit, has it run a replaced program and a changed file, and removes it, each as one run.
func TestUnit(t *testing.T) {
	h := openBooted(t)
	const program = "/usr/local/bin/mape-test"
	replace := func() {
		t.Helper()
		if out, err := exec.Command("install", "-m", "755", "/bin/sleep", program).CombinedOutput(); err != nil {
			t.Fatal(string(out))
		}
	}
	replace()
	t.Cleanup(func() { os.Remove(program) })
	runs := resource.Unit{Unit: "mape-test.service", State: "active", Program: program}
	absent := []engine.Resource{resource.Unit{Unit: runs.Unit}, resource.File{Path: unitFile("").Path}}
	t.Cleanup(func() {
		if _, err := engine.Converge(context.WithoutCancel(t.Context()), h, absent); err != nil {
			t.Error(err)
		}
	})
	for _, step := range []struct {
		what  string
		do    func()
		want  []engine.Resource
		names string
	}{
		{"install", func() {}, []engine.Resource{unitFile(program + " 1h"), runs}, "file /etc/systemd/system/mape-test.service; unit mape-test.service"},
		{"the same", func() {}, []engine.Resource{unitFile(program + " 1h"), runs}, ""},
		{"another program at its path", replace, []engine.Resource{unitFile(program + " 1h"), runs}, "unit mape-test.service"},
		{"another file", func() {}, []engine.Resource{unitFile(program + " 2h"), runs}, "file /etc/systemd/system/mape-test.service; unit mape-test.service"},
		{"removal", func() {}, absent, "unit mape-test.service; file /etc/systemd/system/mape-test.service"},
		{"the same", func() {}, absent, ""},
	} {
		step.do()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		changes, err := engine.Converge(ctx, h, step.want)
		cancel()
		if got := strings.Join(hosttest.Names(changes), "; "); err != nil || got != step.names {
			t.Errorf("%s changed %q: %v", step.what, got, err)
		}
	}
}

// TestUnitFails: of a unit that does not start nothing is left, and the error says where to look.
func TestUnitFails(t *testing.T) {
	h := openBooted(t)
	file := unitFile("/bin/false")
	file.Data += "Type=oneshot\n"
	_, err := engine.Converge(t.Context(), h, []engine.Resource{file, resource.Unit{Unit: "mape-test.service", State: "active"}})
	if err == nil || !strings.Contains(err.Error(), `does not start (exit-code): see "journalctl -u mape-test.service"`) || !strings.HasSuffix(err.Error(), "every change was rolled back") {
		t.Errorf("%v", err)
	}
	if changes, err := engine.Plan(t.Context(), h, []engine.Resource{resource.Unit{Unit: "mape-test.service"}, resource.File{Path: file.Path}}); err != nil || len(changes) > 0 {
		t.Errorf("left behind: %s, %v", engine.Summary(changes), err)
	}
}

// TestUnitRestorable: what cannot be brought back is not asked for by a rollback, which would never end.
func TestUnitRestorable(t *testing.T) {
	for _, test := range []struct{ before, want resource.Unit }{
		{resource.Unit{Unit: "u", State: "active", Program: "/bin/p (deleted)", Stale: true}, resource.Unit{Unit: "u", State: "active", Program: "/bin/p", Stale: false}},
		{resource.Unit{Unit: "u", State: "active", Program: "", Stale: false}, resource.Unit{Unit: "u", State: "active", Program: "", Stale: false}},
		{resource.Unit{Unit: "u", State: "failed", Program: "", Stale: false}, resource.Unit{Unit: "u"}},
		{resource.Unit{Unit: "u", State: "activating", Program: "/bin/p", Stale: true}, resource.Unit{Unit: "u"}},
		{resource.Unit{Unit: "u", State: "", Program: "", Stale: true}, resource.Unit{Unit: "u"}},
	} {
		if got := test.before.Restorable(); got != test.want {
			t.Errorf("%+v: %+v, want %+v", test.before, got, test.want)
		}
	}
}
