package resource_test

import (
	"os"
	"path/filepath"
	"testing"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/resource"
)

// TestFileTemporary: what is left at the temporary name is neither written through nor in the way.
func TestFileTemporary(t *testing.T) {
	h, dir := hosttest.HostOf(t, "-- etc/victim --\ntheirs\n-- etc/a.d/other --\n")
	f := resource.File{Path: "/etc/a.d/ours", Mode: 0o600, Data: host.Heading}
	temporary := filepath.Join(dir, "etc/a.d/.ours.mape-netplan")
	for name, put := range map[string]func() error{
		"a link": func() error { return os.Symlink("../victim", temporary) },
		"a file": func() error { return os.WriteFile(temporary, []byte("half"), 0o666) },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if err := f.Write(t.Context(), h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if live, err := f.Read(t.Context(), h); err != nil || live.Text() != f.Text() {
			t.Errorf("%s: %v, %v", name, live, err)
		}
		if data, err := os.ReadFile(filepath.Join(dir, "etc/victim")); err != nil || string(data) != "theirs\n" {
			t.Errorf("%s: what is not ours is %q, %v", name, data, err)
		}
	}
}

// TestUnreached: below a link to an absolute path nothing is looked at or written, and the error says which link it is
// and what it would have to be; a relative one is followed.
func TestUnreached(t *testing.T) {
	file := resource.File{Path: "/etc/systemd/system/ours.service", Mode: 0o644, Data: host.Heading}
	link := resource.Symlink{Path: "/etc/systemd/system/our.target.wants/ours.service", Target: file.Path}
	for _, test := range []struct {
		at, to string
		file   string // its error; "" is none
		link   string
	}{
		{"etc/systemd", "/data/systemd", "/etc/systemd is a link to the absolute path /data/systemd, which is not followed; make it one to ../data/systemd",
			"/etc/systemd is a link to the absolute path /data/systemd, which is not followed; make it one to ../data/systemd"},
		{"etc/systemd/system/our.target.wants", "/data/wants", "", "/etc/systemd/system/our.target.wants is a link to the absolute path /data/wants, which is not followed; make it one to ../../../data/wants"},
		{"etc/systemd", "../data/systemd", "", ""},
	} {
		h, dir := hosttest.HostOf(t, "-- data/systemd/system/theirs --\n-- data/wants/theirs --\n-- etc/systemd/system/theirs --\n")
		if err := os.RemoveAll(filepath.Join(dir, test.at)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(test.to, filepath.Join(dir, test.at)); err != nil {
			t.Fatal(err)
		}
		for r, want := range map[engine.Resource]string{file: test.file, link: test.link} {
			if want != "" {
				want = r.Name() + ": " + want
			}
			got := ""
			if _, err := engine.Converge(t.Context(), h, []engine.Resource{r}); err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("%s to %s: %s\nwant %s", test.at, test.to, got, want)
			}
		}
	}
}
