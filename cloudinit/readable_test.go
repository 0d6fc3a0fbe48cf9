package cloudinit_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile/host"
)

// TestPathLinks: a link leads where the units see it, or is refused, and is an image's own.
func TestPathLinks(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"etc", "srv", "home/me", "root", "by"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"srv/gw.yaml", "home/me/gw.yaml"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte("mape: {}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, config := range []string{"", root + "/etc/gw.yaml"} {
		file := filepath.Join(root, cloudinit.DefaultPath)
		if config != "" {
			file = config
		}
		for target, want := range map[string]string{
			"../home/me/gw.yaml":           "a link to /home/me/gw.yaml: /home is not available to them, or not at every boot; write the section itself into " + file,
			"/home/me/gw.yaml":             "a link to /home/me/gw.yaml: /home is not available to them",
			"/etc/../mine":                 "a link to /home/me/gw.yaml",
			"/root/gw.yaml":                "a link to /srv/gw.yaml by way of /root: /root is not available to them, or not at every boot; write the section itself into " + file,
			"/by/home.yaml":                "a link to /srv/gw.yaml by way of /home: /home is not available to them",
			"../home/me/../../srv/gw.yaml": "a link to /srv/gw.yaml by way of /home: /home is not available to them",
			"/by/srv.yaml":                 "",
			"/mine":                        "a link to /home/me/gw.yaml",
			"gone/gw.yaml":                 "",
			"../srv/gw.yaml":               "",
			"/srv/gw.yaml":                 "",
			"/loop":                        "too many levels of symbolic links",
		} {
			for link, to := range map[string]string{file: target, root + "/mine": "home/me/gw.yaml", root + "/loop": "loop",
				root + "/root/gw.yaml": "../srv/gw.yaml", root + "/home/me/srv": "/srv", root + "/by/home.yaml": "../home/me/srv/gw.yaml", root + "/by/srv.yaml": "/srv/gw.yaml"} {
				os.Remove(link)
				if err := os.Symlink(to, link); err != nil {
					t.Fatal(err)
				}
			}
			_, err := cloudinit.Path(config, root)
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%q to %s: %v", config, target, err)
			}
		}
	}
}

// TestPathOwner: the units are root, who may not read everything.
func TestPathOwner(t *testing.T) {
	needRoot(t)
	// Not below /tmp, which is refused before.
	dir, err := os.MkdirTemp("/var/lib", "mape-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	section := dir + "/gw.yaml"
	if err := os.WriteFile(section, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		mode, dirMode       os.FileMode
		owner, group, dirOf int
		want                string
	}{
		{0o600, 0o700, 0, 0, 0, ""},
		{0o644, 0o755, 65534, 65534, 0, ""},
		{0o640, 0o755, 65534, 0, 0, ""},
		{0o600, 0o755, 65534, 65534, 0, "it belongs to user 65534, but the units can read only files of root and world-readable ones: sudo chown root:root " + section},
		{0o640, 0o755, 65534, 65534, 0, "sudo chown root:root "},
		{0o604, 0o755, 65534, 0, 0, "sudo chown root:root "}, // The group counts before the others.
		{0o600, 0o700, 0, 0, 65534, "the directory " + dir + " belongs to user 65534 and is closed to others; write the section into /etc/mape-netplan.yaml"},
		{0o600, 0o711, 0, 0, 65534, ""},
	} {
		for name, set := range map[string]struct {
			owner, group int
			mode         os.FileMode
		}{section: {test.owner, test.group, test.mode}, dir: {test.dirOf, test.dirOf, test.dirMode}} {
			if err := os.Chown(name, set.owner, set.group); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(name, set.mode); err != nil {
				t.Fatal(err)
			}
		}
		path, err := cloudinit.Path(section, "")
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %q, %v", test, path, err)
		}
	}

	// The way to a link has to be open as well.
	for _, name := range []string{section, dir} {
		if err := os.Chown(name, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	closed := dir + "/closed"
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(section, closed+"/gw.yaml"); err != nil {
		t.Fatal(err)
	}
	if _, err := cloudinit.Path(closed+"/gw.yaml", ""); err != nil {
		t.Error(err)
	}
	if err := os.Chown(closed, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, err := cloudinit.Path(closed+"/gw.yaml", ""); err == nil || !strings.Contains(err.Error(), "the directory "+closed+" belongs to user 65534 and is closed to others") {
		t.Error(err)
	}
}

// TestUnreadable: of files that root can read, those of other users and those that are closed to their owner.
func TestUnreadable(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	for name, of := range map[string]struct {
		mode os.FileMode
		uid  int
	}{"a.yaml": {0o600, 0}, "b.yaml": {0, 0}, "c.yaml": {0o600, 1000}, "d.yaml": {0o644, 1000}, "e.txt": {0, 0}} {
		file := filepath.Join(dir, "etc/netplan", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Chown(file, of.uid, of.uid), os.Chmod(file, of.mode)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "etc/systemd/network"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "etc/systemd/network"), 0o300); err != nil {
		t.Fatal(err)
	}
	h, err := host.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/etc/netplan/b.yaml", "/etc/netplan/c.yaml", "/etc/systemd/network"}
	if got := cloudinit.Unreadable(h); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
