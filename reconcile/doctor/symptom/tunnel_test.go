package symptom

import (
	"os"
	"path/filepath"
	"testing"

	"mape-netplan/reconcile/host"
)

// below is a machine of a directory with these files, which has no kernel but a release.
func below(t *testing.T, files map[string]string) *host.Host {
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
	return &host.Host{Root: root, Sys: sys}
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
		if got := module(below(t, test.files)); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestCountSince: a tunnel that is created again while it is watched counts from 0.
func TestCountSince(t *testing.T) {
	for _, test := range []struct{ now, first, want Count }{
		{Count{12, 9}, Count{10, 9}, Count{2, 0}},
		{Count{3, 1}, Count{10, 9}, Count{3, 1}},
		{Count{3, 20}, Count{10, 9}, Count{3, 11}},
	} {
		if got := test.now.since(test.first); got != test.want {
			t.Errorf("%v since %v is %v, want %v", test.now, test.first, got, test.want)
		}
	}
}
