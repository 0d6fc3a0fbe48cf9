package netplan_test

import (
	"os"
	"slices"
	"testing"

	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/netplan"
)

// TestDryRun finds what netplan refuses and YAML does not, tells no more than where, and leaves no file.
func TestDryRun(t *testing.T) {
	if !slices.ContainsFunc(netplan.Generators, func(g string) bool { _, err := os.Stat(g); return err == nil }) {
		hosttest.Unable(t, "netplan's generator is not installed")
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	for _, test := range []struct{ name, files, want string }{
		{"none", "", ""},
		{"right", "-- etc/netplan/a.yaml --\nnetwork: {version: 2, ethernets: {eth0: {dhcp4: true}}}\n", ""},
		{"an unknown key", "-- etc/netplan/a.yaml --\nnetwork: {version: 2}\n-- etc/netplan/b.yaml --\nnetwork:\n  ethernets:\n    eth0: {dhcp4: true, hush: 1}\n", "/etc/netplan/b.yaml, line 3"},
		{"a bad value, shadowed", "-- lib/netplan/a.yaml --\nnetwork: {ethernets: {eth0: {dhcp4: hush}}}\n-- etc/netplan/a.yaml --\nnetwork: {version: 2}\n", ""},
		{"a bad value", "-- lib/netplan/a.yaml --\nnetwork: {ethernets: {eth0: {dhcp4: hush}}}\n", "/lib/netplan/a.yaml, line 1"},
	} {
		h, dir := hosttest.HostOf(t, test.files)
		if got, err := netplan.DryRun(h, t.Context()); got != test.want || err != nil {
			t.Errorf("%s: %q, %v; want %q", test.name, got, err, test.want)
		}
		if _, err := os.Stat(dir + "/run"); err == nil {
			t.Errorf("%s: something was generated on the machine", test.name)
		}
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
