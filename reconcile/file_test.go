package reconcile

import (
	"os"
	"path/filepath"
	"testing"
)

// TestFileTemporary: what is left at the temporary name is neither written through nor in the way.
func TestFileTemporary(t *testing.T) {
	h, dir := hostOf(t, "-- etc/victim --\ntheirs\n-- etc/a.d/other --\n")
	f := File{Path: "/etc/a.d/ours", Mode: 0o600, Data: heading}
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
