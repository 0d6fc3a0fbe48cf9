package doctor

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile"
)

// below is an examination of a directory with these files, which has no kernel but a release.
func below(t *testing.T, files map[string]string) *examination {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("proc/sys/kernel/osrelease", "6.1.0-test\n")
	for name, text := range files {
		write(name, text)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	sys, err := root.OpenRoot("proc/sys")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close(); sys.Close() })
	return &examination{h: &reconcile.Host{Root: root, Sys: sys}}
}

// TestModule looks for the tunnel's module where the kernel, or its package, says that it is.
func TestModule(t *testing.T) {
	const dep = "lib/modules/6.1.0-test/modules.dep"
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"loaded", map[string]string{"sys/module/ip6_tunnel/refcnt": "0", dep: ""}, "yes"},
		{"to be loaded", map[string]string{dep: "kernel/net/ipv6/ip6_tunnel.ko.xz: kernel/net/ipv6/tunnel6.ko.xz\n"}, "yes"},
		{"built in", map[string]string{dep: "", "lib/modules/6.1.0-test/modules.builtin": "kernel/net/ipv6/ip6_tunnel.ko\n"}, "yes"},
		{"none", map[string]string{dep: "kernel/net/ipv4/ip_tunnel.ko:\n"}, "no"},
		{"of another kernel", map[string]string{"lib/modules/6.2.0/modules.dep": ""}, ""},
		{"a container", nil, ""},
	} {
		if got := below(t, test.files).module(); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestUnits installs the units below a directory, and takes one of their links away.
func TestUnits(t *testing.T) {
	e := below(t, nil)
	is := func(want ...Unit) {
		t.Helper()
		if got, err := e.units(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	is(Unit{Name: cloudinit.GuardUnit}, Unit{Name: cloudinit.WatchUnit})
	if _, err := reconcile.Converge(t.Context(), e.h, cloudinit.Install("/usr/local/bin/mape-netplan", "", false)); err != nil {
		t.Fatal(err)
	}
	is(Unit{Name: cloudinit.GuardUnit, File: true, Enabled: true}, Unit{Name: cloudinit.WatchUnit, File: true, Enabled: true})
	if err := e.h.Root.Remove("etc/systemd/system/sysinit.target.wants/" + cloudinit.GuardUnit); err != nil {
		t.Fatal(err)
	}
	is(Unit{Name: cloudinit.GuardUnit, File: true}, Unit{Name: cloudinit.WatchUnit, File: true, Enabled: true})
}
