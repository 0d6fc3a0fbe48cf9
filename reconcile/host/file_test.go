package host_test

import (
	"os"
	"testing"

	"mape-netplan/reconcile/internal/hosttest"
)

// TestRemoveEmpty: only a directory goes, and only an empty one.
func TestRemoveEmpty(t *testing.T) {
	h, dir := hosttest.HostOf(t, "-- full/file --\n-- a/empty/x --")
	if err := os.Remove(dir + "/a/empty/x"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("full", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	for path, stays := range map[string]bool{"/full": true, "/link": true, "/full/file": true, "/a/empty": false, "/missing/x": false} {
		h.RemoveEmpty(path)
		if _, err := os.Lstat(dir + path); (err == nil) != stays {
			t.Errorf("%s: %v", path, err)
		}
	}
}
