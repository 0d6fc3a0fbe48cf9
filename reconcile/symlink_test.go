package reconcile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSymlink: the link of an enabled unit comes, is mended and goes, with the directory that it was alone in.
func TestSymlink(t *testing.T) {
	h, dir := hostOf(t, "-- etc/systemd/system/other.target.wants/theirs.service --\n")
	const (
		unit  = "/etc/systemd/system/ours.service"
		wants = "/etc/systemd/system/our.target.wants/ours.service"
	)
	link := Symlink{Path: wants, Target: unit}
	absent := Symlink{Path: wants}
	state := func() string {
		t.Helper()
		live, err := absent.Read(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		return live.Text()
	}
	write := func(s Symlink) {
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
	write(Symlink{Path: wants, Target: "/dev/null"})
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
	both := Symlink{Path: "/etc/systemd/system/other.target.wants/ours.service", Target: unit}
	for _, s := range []Symlink{both, {Path: both.Path}} {
		if err := s.Write(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "etc/systemd/system/other.target.wants/theirs.service")); err != nil {
		t.Errorf("what is not ours: %v", err)
	}
}

// TestSymlinkForeign: a file in the link's place is somebody's, and stays.
func TestSymlinkForeign(t *testing.T) {
	h, _ := hostOf(t, "-- etc/systemd/system/our.target.wants/ours.service --\ntheirs\n")
	link := Symlink{Path: "/etc/systemd/system/our.target.wants/ours.service", Target: "/dev/null"}
	if _, err := Converge(t.Context(), h, []Resource{link}); err == nil || !strings.Contains(err.Error(), "is not a symbolic link; move it away first") {
		t.Error(err)
	}
	if changes, err := Converge(t.Context(), h, []Resource{Symlink{Path: link.Path}}); err != nil || len(changes) > 0 {
		t.Errorf("%s: %v", summary(changes), err)
	}
	if data, err := h.Root.ReadFile(local(link.Path)); err != nil || string(data) != "theirs\n" {
		t.Errorf("%q, %v", data, err)
	}
}
