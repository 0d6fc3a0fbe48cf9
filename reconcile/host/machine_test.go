package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// TestUnsupported names what runs a machine without systemd, and WSL even with it.
func TestUnsupported(t *testing.T) {
	const wsl = "5.15.167.4-microsoft-standard-WSL2\n"
	for _, test := range []struct {
		name, release, init string
		booted              bool
		want                string
	}{
		{"Debian", "6.12.48+deb13-cloud-amd64\n", "systemd\n", true, ""},
		{"container", "6.12.48+deb13-cloud-amd64\n", "tini\n", false, `systemd does not run this machine (process 1 is "tini"), and a gateway needs systemd-networkd; `},
		{"directory without /proc", "", "", false, `systemd does not run this machine (process 1 is ""), `},
		{"WSL", wsl, "init\n", false, "this is WSL, "},
		{"WSL with systemd", wsl, "systemd\n", true, "this is WSL, "},
		{"WSL 1", "4.4.0-19041-Microsoft\n", "init\n", false, "this is WSL, "},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			files := map[string]string{"proc/sys/kernel/osrelease": test.release, "proc/1/comm": test.init}
			if test.booted {
				files["run/systemd/system/README"] = ""
			}
			for name, data := range files {
				if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			h := &Host{Root: root, Net: new(netlink.Handle)}
			err = h.unsupported()
			if (test.want == "") != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("%v, want %s", err, test.want)
			}
			if err := h.Unsupported(); err != nil {
				t.Errorf("a directory that stands for a machine: %v", err)
			}
		})
	}
}
