package watch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/resource"
)

// asOwner runs f in the namespace without the capabilities by which root reads what
// the mode of a file forbids: as the service runs that has none of them.
func asOwner(g *gatewaytest.Machine, f func()) {
	g.Do(func() {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var all, fewer [2]unix.CapUserData
		if err := unix.Capget(&header, &all[0]); err != nil {
			panic(err)
		}
		fewer = all
		fewer[0].Effective &^= 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
		for _, set := range []*[2]unix.CapUserData{&fewer, &all} {
			if err := unix.Capset(&header, &set[0]); err != nil {
				panic(err)
			}
			if set == &fewer {
				f()
			}
		}
	})
}

// closures are what makes a file, $root/path, one that cannot be read, and what undoes that.
var closures = []struct{ what, path, do, undo string }{
	{"no YAML", "/etc/netplan/70-others.yaml", "echo 'network: [' >$file", "rm $file"},
	{"a directory", "/etc/netplan/70-others.yaml", "mkdir $file", "rmdir $file"},
	{"a link in a loop", "/etc/netplan/70-others.yaml", "ln -s 70-others.yaml $file", "rm $file"},
	{"a link to a file elsewhere", "/etc/netplan/70-others.yaml", "echo 'network: [' >$root/elsewhere; ln -s ../../elsewhere $file", "rm $root/elsewhere"},
	{"not to be read", "/etc/netplan/70-others.yaml", "install -m 0 /dev/null $file", "rm $file"},
	{"what configures the WAN", "/etc/netplan/50-cloud-init.yaml", "chmod 0 $file", "chmod 600 $file"},
	{"our own", netplan.Path, "chmod 0 $file", "chmod 600 $file"},
	{"networkd's", "/etc/systemd/network/70-others.network", "install -m 0 /dev/null $file", "rm $file"},
	{"netplan's directory", "/etc/netplan", "chmod 0 $file", "chmod 755 $file"},
}

// closed runs a command of one of closures.
func closed(w *gatewaytest.Machine, t *testing.T, path, do string) {
	t.Helper()
	w.Exec(t, "env", "root="+w.Dir, "file="+filepath.Join(w.Dir, path), "sh", "-ec", do)
}

// noLink removes a file that is a link to nowhere, which netplan does not take for a file.
const noLink = "if [ -L $file ]; then rm $file; fi"

// corrected undoes one of closures, and waits until the watch has seen it: by its event, or of what a link leads to after
// a pause.
func (w *service) corrected(t *testing.T, path, undo string) {
	t.Helper()
	closed(w.Machine, t, path, undo)
	w.says(t, "<5>all files can be read again")
	closed(w.Machine, t, path, noLink)
}

// keptMeanwhile flushes the ruleset and deletes the default route and the address,
// and waits until each is back.
func (w *service) keptMeanwhile(t *testing.T) {
	t.Helper()
	for _, drift := range []struct{ do, name string }{
		{"nft flush ruleset", "table ip mape"},
		{"ip route del default dev mape0", "route default dev mape0"},
		{"ip address del " + gatewaytest.CeOfLine + "/128 dev eth1", "address " + gatewaytest.CeOfLine + " dev eth1"},
		{"echo 0 >/proc/sys/net/ipv4/ip_forward", "sysctl net/ipv4/ip_forward"},
	} {
		w.Exec(t, "sh", "-ec", drift.do)
		w.says(t, "<5>restored "+drift.name+": it ")
	}
}

// TestWatchUnreadable: while a file of others cannot be read, what was made is kept,
// and the log and the status name the file. When it can be read again, nothing is
// left to be done.
func TestWatchUnreadable(t *testing.T) {
	for _, closure := range closures {
		t.Run(closure.what, func(t *testing.T) {
			t.Parallel()
			g := newMachine(t)
			w := startServiceBy(t, g, gatewaytest.LineSection, func(f func()) { asOwner(g, f) })
			w.says(t, "CE "+gatewaytest.CeOfLine, "changed in")
			w.looks(t)
			before := w.Snapshot(t)
			w.forget()
			closed(w.Machine, t, closure.path, closure.do)
			w.says(t, "<3>cannot read "+closure.path+": ")
			w.await(t, "the status names it", func() bool {
				return strings.Contains(w.status(), "cannot read "+closure.path+": ")
			})
			w.keptMeanwhile(t)
			if n := w.said("cannot read"); n != 1 {
				t.Errorf("said %d times", n)
			}
			w.corrected(t, closure.path, closure.undo)
			w.returnsTo(t, before)
			w.await(t, "the status is good", func() bool { return !strings.Contains(w.status(), "cannot") })
		})
	}
}

// TestWatchStartsUnreadable: a service that starts while a file cannot be read brings
// back what the kernel has lost meanwhile, of the line that our files remember.
func TestWatchStartsUnreadable(t *testing.T) {
	for _, closure := range closures {
		if closure.what == "our own" || closure.what == "netplan's directory" {
			continue // Then nothing is remembered.
		}
		t.Run(closure.what, func(t *testing.T) {
			t.Parallel()
			g := gatewaytest.NewMachine(t)
			g.Converge(t, g.StandIn(t))
			before := g.Snapshot(t)
			closed(g, t, closure.path, closure.do)
			g.Exec(t, "sh", "-ec", "nft flush ruleset; ip route del default dev mape0")
			// The line itself is not there: the prefix is known from our files only.
			w := startServiceBy(t, g, gatewaytest.Auto, func(f func()) { asOwner(g, f) })
			w.says(t, "<3>cannot read "+closure.path+": ")
			w.says(t, "CE "+gatewaytest.CeOfLine, "; changed in", "table ip mape", "route default dev mape0")
			w.keptMeanwhile(t)
			w.corrected(t, closure.path, closure.undo)
			w.says(t, "CE "+gatewaytest.CeOfLine, "; in sync")
			w.stop()
			w.Exec(t, "rm", w.Files[0])
			gatewaytest.Unchanged(t, before, w.Snapshot(t))
		})
	}
}

// TestWatchStartsUnreadableGuarded: where nothing can be made and nothing is
// remembered, nothing passes, however often the ruleset is flushed.
func TestWatchStartsUnreadableGuarded(t *testing.T) {
	for _, test := range []struct{ what, section, path, do, says string }{
		{"no line", gatewaytest.Auto, "/etc/netplan/70-others.yaml", "mkdir $file", "<3>cannot read /etc/netplan/70-others.yaml: "},
		{"no section", "{", "/etc/netplan/70-others.yaml", "mkdir $file", "<3>cannot read /etc/netplan/70-others.yaml: "},
		{"ours cannot be read", gatewaytest.Auto, netplan.Path, "install -m 0 /dev/null $file", "<3>cannot read " + netplan.Path + ": "},
		{"another's at our path", gatewaytest.LineSection, netplan.Path, "echo '# mine' >$file", "<3>cannot read " + netplan.Path + ": was not written by mape-netplan"},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			g := newMachine(t)
			closed(g, t, test.path, test.do)
			w := startServiceBy(t, g, test.section, func(f func()) { asOwner(g, f) })
			w.says(t, test.says)
			for range 3 {
				w.await(t, "the guard stands", func() bool {
					live, err := resource.Table{}.Read(t.Context(), w.H)
					return err == nil && gateway.Guards(live.(resource.Table), "mape0")
				})
				w.Exec(t, "nft", "flush", "ruleset")
			}
		})
	}
}

// TestWatchStartsBesideObstacle: a service that starts while one of our own paths cannot be read makes what is the
// kernel's, and the files as soon as it can.
func TestWatchStartsBesideObstacle(t *testing.T) {
	for _, obstacle := range []struct{ what, path, do, undo string }{
		{"a directory for our netplan file", netplan.Path, "mkdir $file", "rmdir $file"},
		{"another's netplan file", netplan.Path, "echo '# mine' >$file", "rm $file"},
		{"a loop for netplan's directory", "/etc/netplan", "mv $file $file.old; ln -s netplan $file", "rm $file; mv $file.old $file"},
		{"a file for sysctl's directory", "/etc/sysctl.d", "rm -rf $file; echo >$file", "rm $file"},
	} {
		t.Run(obstacle.what, func(t *testing.T) {
			t.Parallel()
			g := gatewaytest.NewMachine(t)
			g.Exec(t, "sh", "-ec", "ip link add mape0 type bridge; ip link set mape0 up")
			closed(g, t, obstacle.path, obstacle.do)
			w := startService(t, g, gatewaytest.LineSection)
			w.says(t, "<3>cannot read "+obstacle.path)
			if line := w.says(t, "CE "+gatewaytest.CeOfLine, "changed in", "table ip mape", "route default dev mape0", "filter mape0 egress"); strings.Contains(line, "file /") {
				t.Errorf("it says %s", line)
			}
			w.keptMeanwhile(t)
			closed(g, t, obstacle.path, obstacle.undo)
			w.says(t, "CE "+gatewaytest.CeOfLine, "changed in", "file /")
		})
	}
}

// TestWatchUnreadableFollows: what the section says anew reaches the kernel while a file
// of others cannot be read, and our files, which are restored as they were, when it
// can be.
func TestWatchUnreadableFollows(t *testing.T) {
	t.Parallel()
	w := newService(t, gatewaytest.LineSection)
	w.says(t, "CE "+gatewaytest.CeOfLine, "changed in")
	w.looks(t)
	ours, theirs := filepath.Join(w.Dir, netplan.Path), "/etc/netplan/70-others.yaml"
	before, err := os.ReadFile(ours)
	if err != nil {
		t.Fatal(err)
	}
	closed(w.Machine, t, theirs, "mkdir $file")
	w.says(t, "<3>cannot read "+theirs)
	w.forget()
	w.section(t, "{mtu: 1300, "+gatewaytest.LineSection[1:])
	if line := w.says(t, "CE "+gatewaytest.CeOfLine, "changed in", "table ip mape"); strings.Contains(line, "file /") {
		t.Errorf("it says %s", line)
	}
	if err := os.Remove(ours); err != nil {
		t.Fatal(err)
	}
	w.says(t, "<5>restored file "+netplan.Path)
	if after, err := os.ReadFile(ours); err != nil || string(after) != string(before) {
		t.Errorf("our file says, %v:\n%s", err, after)
	}
	w.forget()
	w.corrected(t, theirs, "rmdir $file")
	w.says(t, "CE "+gatewaytest.CeOfLine, "changed in", "file "+netplan.Path)
	w.looks(t)
	if after, err := os.ReadFile(ours); err != nil || !strings.Contains(string(after), "1300") {
		t.Errorf("our file says, %v:\n%s", err, after)
	}
}

// TestGeneratorWaits does not run netplan's generator while it would stop at a file
// of others.
func TestGeneratorWaits(t *testing.T) {
	for _, unreadable := range []bool{false, true} {
		w := Watch{unreadable: unreadable, want: []engine.Resource{resource.Generated{Present: true}, resource.Table{}}}
		runs := slices.ContainsFunc(w.maintained(), func(r engine.Resource) bool { _, ok := r.(resource.Generated); return ok })
		if runs == unreadable || !slices.ContainsFunc(w.maintained(), isKernels) {
			t.Errorf("unreadable %v: maintains %v", unreadable, w.maintained())
		}
	}
}

// TestGuardUnreadable puts the table of the remembered line up beside files that cannot
// be read, and where one of them is the memory, the wall, which names it.
func TestGuardUnreadable(t *testing.T) {
	t.Parallel()
	g := gatewaytest.NewMachine(t)
	g.Converge(t, g.StandIn(t))
	for _, closure := range closures {
		closed(g, t, closure.path, closure.do)
		g.Exec(t, "nft", "flush", "ruleset")
		asOwner(g, func() {
			guard, made, err := reconcile.NewRun(g.H).PutGuard(t.Context(), gatewaytest.SectionOf(t, gatewaytest.Auto))
			switch remembered := closure.what != "our own" && closure.what != "netplan's directory"; {
			case err != nil || !made:
				t.Errorf("%s: made %v, %v", closure.what, made, err)
			case remembered && guard.Why != nil:
				t.Errorf("%s: nothing passes: %v", closure.what, guard.Why)
			case closure.what == "our own" && (guard.Why == nil || !strings.Contains(guard.Why.Error(), closure.path)):
				t.Errorf("%s: %v", closure.what, guard.Why)
			}
			live, err := resource.Table{}.Read(t.Context(), g.H)
			if err != nil || !gateway.Guards(live.(resource.Table), "mape0") {
				t.Errorf("%s: no guard, %v", closure.what, err)
			}
		})
		closed(g, t, closure.path, closure.undo+"; "+noLink)
	}
}
