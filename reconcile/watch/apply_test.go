package watch

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/sysctld"
)

// TestWatchSection follows a changed section, keeps the last valid one while it is bad or gone, and says so once.
func TestWatchSection(t *testing.T) {
	t.Parallel()
	w := newService(t, gatewaytest.LineSection)
	w.says(t, "CE "+gatewaytest.CeOfLine)
	w.section(t, strings.Replace(gatewaytest.LineSection, "5c71:af00", "5c71:b000", 1))
	w.says(t, "CE "+gatewaytest.CeOfOther, "changed in")
	for _, bad := range []struct{ do, says string }{
		{"echo 'mape: {prefix: nonsense}' >$0", "<3>section:1:16: mape.prefix"},
		{"rm $0", "<3>open "},
	} {
		w.looks(t)
		w.forget()
		w.Exec(t, "sh", "-ec", bad.do, w.Files[0])
		w.says(t, bad.says, "the last valid section stays in force")
		w.Exec(t, "nft", "delete", "table", "ip", "mape")
		w.says(t, "restored table ip mape")
		w.looks(t)
		// An editor's file is empty for a moment, which may have been seen.
		if n := w.said(bad.says[3:]); n != 1 {
			t.Errorf("said %d times: %q", n, w.log)
		}
		// A reload says it again.
		w.forget()
		w.hangup <- syscall.SIGHUP
		w.says(t, bad.says)
		w.await(t, "ready again", func() bool {
			all := strings.Join(w.states, "|")
			return strings.Contains(all, "RELOADING=1") && strings.Contains(all[strings.LastIndex(all, "RELOADING=1"):], "READY=1")
		})
	}
	w.forget()
	w.section(t, gatewaytest.LineSection)
	w.says(t, "the section is valid again")
	w.says(t, "CE "+gatewaytest.CeOfLine, "changed in")
}

// TestRetry: what failed is retried after 1, 2, 4 seconds and so on, something else at once.
func TestRetry(t *testing.T) {
	var got []time.Duration
	var r retry
	now := time.Now()
	for range 11 {
		if !r.due("one", now) {
			t.Error("it is not due")
		}
		r.failed(&defaultTimings, now)
		if r.due("one", now) {
			t.Error("it is due at once")
		}
		got = append(got, r.at.Sub(now))
		now = r.at
	}
	s := time.Second
	if want := []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 64 * s, 128 * s, 256 * s, 300 * s, 300 * s}; !slices.Equal(got, want) {
		t.Errorf("it waits %v, want %v", got, want)
	}
	r.failed(&defaultTimings, now)
	if !r.due("another", now) {
		t.Error("another waits as well")
	}
}

// TestWatchUnwritable: beside a file that can be read and not be written the kernel's part is made, and the file soon after
// it can be written, or at once on a reload. The failure is logged once.
func TestWatchUnwritable(t *testing.T) {
	for what, with := range map[string]func(*Watch){
		"by itself":   func(w *Watch) { w.timings.retry, w.timings.retryMost = never, never },
		"on a reload": func(w *Watch) { w.timings.unreadable = never },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			unwritable(t, with, what == "on a reload")
		})
	}
}

func unwritable(t *testing.T, with func(*Watch), reload bool) {
	g := newMachine(t)
	// In the place of the temporary file, so that the drop-in can be read and not be written.
	obstacle := filepath.Join(g.Dir, path.Dir(sysctld.Path), "."+path.Base(sysctld.Path)+".mape-netplan")
	hosttest.WriteFile(t, filepath.Join(obstacle, "x"), "")
	w := startService(t, g, gatewaytest.LineSection, with)
	w.says(t, "<3>cannot apply CE "+gatewaytest.CeOfLine, "directory not empty")
	if line := w.says(t, "CE "+gatewaytest.CeOfLine, "changed in", "route default dev mape0"); strings.Contains(line, "file /") {
		t.Errorf("it says %s", line)
	}
	w.looks(t)
	w.keptMeanwhile(t)
	if n := w.said("cannot apply"); n != 1 {
		t.Errorf("said %d times: %q", n, w.log)
	}
	w.await(t, "the state has it", func() bool { return strings.Contains(w.status(), "directory not empty") })
	if err := os.RemoveAll(obstacle); err != nil {
		t.Fatal(err)
	}
	if reload {
		w.hangup <- syscall.SIGHUP
	}
	w.says(t, "CE "+gatewaytest.CeOfLine, "changed in", "file "+sysctld.Path)
	w.await(t, "the state is good", func() bool { return !strings.Contains(w.status(), "cannot") })
}
