package resource_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/resource"
)

// TestSymlink: the link of an enabled unit comes, is mended and goes, with the directory that it was alone in.
func TestSymlink(t *testing.T) {
	h, dir := hosttest.HostOf(t, "-- etc/systemd/system/other.target.wants/theirs.service --\n")
	const (
		unit  = "/etc/systemd/system/ours.service"
		wants = "/etc/systemd/system/our.target.wants/ours.service"
	)
	link := resource.Symlink{Path: wants, Target: unit}
	absent := resource.Symlink{Path: wants}
	state := func() string {
		t.Helper()
		live, err := absent.Read(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		return live.Text()
	}
	write := func(s resource.Symlink) {
		t.Helper()
		if err := s.Write(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		if got := state(); got != s.Text() {
			t.Errorf("%q after writing %q", got, s.Text())
		}
	}
	if got := state(); got != "" {
		t.Errorf("%q before anything", got)
	}
	write(link)
	write(link)
	write(resource.Symlink{Path: wants, Target: "/dev/null"})
	write(link)
	// What systemctl of another version writes is the same.
	for target, want := range map[string]string{"../ours.service": link.Text(), "../theirs.service": "to /etc/systemd/system/theirs.service\n"} {
		name := filepath.Join(dir, wants)
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
		if got := state(); got != want {
			t.Errorf("a link to %s is %q, want %q", target, got, want)
		}
	}
	write(absent)
	write(absent)
	if _, err := os.Stat(filepath.Join(dir, filepath.Dir(wants))); !os.IsNotExist(err) {
		t.Errorf("its directory is left: %v", err)
	}
	both := resource.Symlink{Path: "/etc/systemd/system/other.target.wants/ours.service", Target: unit}
	for _, s := range []resource.Symlink{both, {Path: both.Path}} {
		if err := s.Write(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "etc/systemd/system/other.target.wants/theirs.service")); err != nil {
		t.Errorf("what is not ours: %v", err)
	}
}

// TestSymlinkForeign: a file in the link's place is another program's, and stays.
func TestSymlinkForeign(t *testing.T) {
	h, _ := hosttest.HostOf(t, "-- etc/systemd/system/our.target.wants/ours.service --\ntheirs\n")
	link := resource.Symlink{Path: "/etc/systemd/system/our.target.wants/ours.service", Target: "/dev/null"}
	if _, err := engine.Converge(t.Context(), h, []engine.Resource{link}); err == nil || !strings.Contains(err.Error(), "is not a symbolic link; move it away first") {
		t.Error(err)
	}
	if changes, err := engine.Converge(t.Context(), h, []engine.Resource{resource.Symlink{Path: link.Path}}); err != nil || len(changes) > 0 {
		t.Errorf("%s: %v", engine.Summary(changes), err)
	}
	if data, err := h.Root.ReadFile(host.Local(link.Path)); err != nil || string(data) != "theirs\n" {
		t.Errorf("%q, %v", data, err)
	}
}
