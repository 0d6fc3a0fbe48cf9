package events

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/hosttest"
)

// TestMatters: which files of the watched directories a look reads.
func TestMatters(t *testing.T) {
	e, err := newFiles(func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer e.watcher.Close()
	e.names["/etc/mape-netplan.yaml"], e.watched["/etc/netplan"] = true, true
	for name, want := range map[string]bool{
		"/etc/mape-netplan.yaml":                        true,
		"/etc/mape-netplan.yaml~":                       false,
		"/etc/other.yaml":                               false,
		"/etc/netplan":                                  true,
		"/etc/netplan/50-cloud-init.yaml":               true,
		"/etc/netplan/.50-cloud-init.yaml1":             false,
		"/etc/netplan/notes.txt":                        false,
		"/run/systemd/network/10-netplan-mape0.netdev":  true,
		"/run/systemd/network/.#10-netplan-mape0.netde": false,
	} {
		if got := e.matters(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// TestWatchFiles reports a change of a file, of what a link to it leads to, and in a directory that was made again.
func TestWatchFiles(t *testing.T) {
	h, dir := hosttest.HostOf(t, "")
	h.NS = hosttest.NewNS(t).FD()
	e, err := Listen(&host.Host{Root: h.Root, NS: h.NS})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	section, target := filepath.Join(dir, "etc/section.yaml"), filepath.Join(dir, "elsewhere/target.yaml")
	netplan := filepath.Join(dir, "etc/netplan/99-ipoe-gw.yaml")
	for _, name := range []string{target, netplan} {
		hosttest.WriteFile(t, name, "1")
	}
	if err := os.Symlink(target, section); err != nil {
		t.Fatal(err)
	}
	changes := func(what string, change func()) {
		t.Helper()
		e.WatchFiles(h, []string{section})
		for quiet := false; !quiet; { // One change is several events.
			select {
			case <-e.Changed:
			case <-time.After(100 * time.Millisecond):
				quiet = true
			}
		}
		change()
		select {
		case <-e.Changed:
		case <-time.After(time.Minute):
			t.Fatalf("%s is not reported", what)
		}
	}
	changes("the link's target", func() { hosttest.WriteFile(t, target, "2") })
	changes("the link", func() {
		if err := os.Remove(section); err != nil {
			t.Fatal(err)
		}
	})
	changes("the directory", func() {
		if err := os.RemoveAll(filepath.Dir(netplan)); err != nil {
			t.Fatal(err)
		}
	})
	hosttest.WriteFile(t, netplan, "1")
	changes("a file of the new directory", func() { hosttest.WriteFile(t, netplan, "2") })
}
