package cloudinit_test

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/unit"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile/resource"
)

// TestInstall: the units run the program by its path, and the links are those
// that "systemctl enable" would make of their [Install] sections.
func TestInstall(t *testing.T) {
	for config, flags := range map[string]string{"": "", "/etc/gw.yaml": " --config /etc/gw.yaml"} {
		files := map[string][]*unit.UnitOption{}
		links := map[string]string{}
		var names, live []string
		for _, r := range cloudinit.Install("/usr/bin/m", config, true) {
			names = append(names, r.Name())
			switch r := r.(type) {
			case resource.File:
				options, err := unit.DeserializeOptions(strings.NewReader(r.Data))
				if err != nil || strings.Contains(r.Data, "@PROGRAM@") || strings.Contains(r.Data, "@FLAGS@") {
					t.Errorf("%s: %v\n%s", r.Path, err, r.Data)
				}
				files[r.Path] = options
			case resource.Symlink:
				links[r.Path] = r.Target
			case resource.Unit:
				live = append(live, r.Unit+": "+r.Text())
			}
		}
		for _, want := range []struct{ unit, key, value string }{
			{cloudinit.GuardUnit, "ExecStart", "/usr/bin/m guard" + flags},
			{cloudinit.GuardUnit, "ExecStop", "/usr/bin/m guard --stop" + flags},
			{cloudinit.WatchUnit, "ExecStart", "/usr/bin/m watch" + flags},
		} {
			if got := values(files["/etc/systemd/system/"+want.unit], want.key); !slices.Equal(got, []string{want.value}) {
				t.Errorf("%s of %s is %q, want %q", want.key, want.unit, got, want.value)
			}
		}
		for file, options := range files {
			for _, target := range values(options, "WantedBy") {
				link := path.Join(path.Dir(file), target+".wants", path.Base(file))
				if links[link] != file {
					t.Errorf("%s goes to %q, want %s", link, links[link], file)
				}
				delete(links, link)
			}
		}
		if len(links) > 0 {
			t.Errorf("nothing wants %v", links)
		}
		if want := []string{cloudinit.GuardUnit + ": active\n", cloudinit.WatchUnit + ": active\nruns /usr/bin/m\n"}; !slices.Equal(live, want) {
			t.Errorf("started are %q, want %q", live, want)
		}
		gone := map[string]bool{}
		for _, r := range cloudinit.Uninstall(true) {
			gone[r.Name()] = r.Text() == ""
		}
		for _, name := range names {
			if !gone[name] {
				t.Errorf("uninstall leaves %s", name)
			}
		}
	}
}

// TestGuardOrder: what keeps packets from leaking at boot and at shutdown.
func TestGuardOrder(t *testing.T) {
	var options []*unit.UnitOption
	for _, r := range cloudinit.Install("/usr/bin/m", "", false) {
		if f, ok := r.(resource.File); ok && path.Base(f.Path) == cloudinit.GuardUnit {
			options, _ = unit.DeserializeOptions(strings.NewReader(f.Data))
		}
	}
	for key, want := range map[string][]string{
		"DefaultDependencies": {"no"},
		"After":               {"local-fs.target", "nftables.service"},
		"Before":              {"network-pre.target", "systemd-networkd.service", "shutdown.target"},
		"Conflicts":           {"shutdown.target"},
	} {
		got := strings.Fields(strings.Join(values(options, key), " "))
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("%s=%s lacks %s", key, got, w)
			}
		}
	}
}

func values(options []*unit.UnitOption, key string) (all []string) {
	for _, o := range options {
		if o.Name == key {
			all = append(all, o.Value)
		}
	}
	return all
}

// TestProgram: a program that units cannot run, or that root must not, is refused.
func TestProgram(t *testing.T) {
	for executable, want := range map[string]string{
		"/home/debian/mape-netplan":              "/home is not available to them, or not at every boot; install it first: sudo install -m 755 /home/debian/mape-netplan /usr/local/bin/mape-netplan, and run that",
		"/root/mape-netplan":                     "/root is not available to them",
		"/tmp/go-build123/b001/exe/mape-netplan": "/tmp is not available to them",
		"/run/user/1000/mape-netplan":            "/run is not available to them",
		"/mnt/mape-netplan":                      "/mnt is not available to them",
		"/opt/my programs/mape-netplan":          "must have only letters, digits and",
		"/opt/100%/mape-netplan":                 "must have only letters, digits and",
		"/usr/bin/mape-netplan (deleted)":        "must have only letters, digits and",
		"/opt/nosuch/mape-netplan":               "there is no /opt/nosuch/mape-netplan for the units to run",
	} {
		if program, err := cloudinit.Program(executable, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", executable, program, err)
		}
	}
	if program, err := cloudinit.Program("/bin/sh", ""); err != nil || program != "/bin/sh" {
		t.Errorf("/bin/sh: %q, %v", program, err)
	}
}

// TestProgramBelow: in an image it is the image's own, or where it usually is.
func TestProgramBelow(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"/usr/local/bin/mape-netplan", "/opt/m"} {
		if err := os.MkdirAll(filepath.Join(root, path.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for executable, want := range map[string]string{
		root + "/opt/m":         "/opt/m",
		"/home/me/mape-netplan": "/usr/local/bin/mape-netplan",
	} {
		if program, err := cloudinit.Program(executable, root); err != nil || program != want {
			t.Errorf("%s: %q, %v, want %s", executable, program, err, want)
		}
	}
}

// TestTrusted: only root may choose what root runs at every boot.
func TestTrusted(t *testing.T) {
	needRoot(t)
	// Not below /tmp, which is refused before.
	dir, err := os.MkdirTemp("/var/lib", "mape-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := dir + "/m"
	for _, test := range []struct {
		mode  os.FileMode
		owner int
		want  string
	}{
		{0o755, 0, ""},
		{0o775, 0, "must be writable only by its owner"},
		{0o757, 0, "must be writable only by its owner"},
		{0o755, 65534, ", which root would run at every boot, must belong to root, not to user 65534"},
	} {
		if err := os.WriteFile(program, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(program, test.owner, 0); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(program, test.mode); err != nil {
			t.Fatal(err)
		}
		_, err := cloudinit.Program(program, "")
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v of %d: %v", test.mode, test.owner, err)
		}
	}
}

// needRoot skips a test of who owns a file where everything is one user's; with
// MAPE_CI=1 it fails, for there a skip would hide a hole.
func needRoot(t *testing.T) {
	t.Helper()
	const why = "files of different owners need root"
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("MAPE_CI") == "1":
		t.Fatal(why)
	default:
		t.Skip(why)
	}
}
