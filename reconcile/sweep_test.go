package reconcile_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile"
	"mape-netplan/reconcile/internal/hosttest"
)

// TestSweep: what a killed run has left goes, whichever of the files it was writing, and nothing else does.
func TestSweep(t *testing.T) {
	h, dir := hosttest.HostOf(t, `
-- etc/netplan/.99-ipoe-gw.yaml.mape-netplan --
-- etc/netplan/.mine.yaml --
-- etc/sysctl.d/.99-mape-gw.conf.mape-netplan --
-- etc/systemd/network/.eth0.network.d.mape-netplan --
-- etc/systemd/network/.10-netplan-mape0.netdev.d.mape-netplan --
-- etc/systemd/network/.10-netplan-eth1.network.d.mape-netplan --
-- etc/systemd/network/.10-mape-netplan.netdev.mape-netplan --
-- etc/systemd/network/10-netplan-mape0.netdev.d/.50-mape.conf.mape-netplan --
-- etc/systemd/network/10-netplan-eth1.network.d/.50-mape.conf.mape-netplan --
-- etc/systemd/network/10-netplan-eth1.network.d/mine.conf --
-- etc/systemd/system/.mape-netplan.service.mape-netplan --
-- etc/systemd/system/multi-user.target.wants/.mape-netplan.service.mape-netplan --
-- var/lib/mape-netplan/.hb46pp.json.mape-netplan --
-- run/mape-netplan-optimistic --
eth1`)
	sys := t.TempDir()
	const key = "/net/ipv6/conf/eth1/optimistic_dad"
	hosttest.WriteFile(t, sys+key, "1\n")
	var err error
	if h.Sys, err = os.OpenRoot(sys); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"eth0.network.d", "users.network.d", "users.netdev.d"} {
		if err := os.Mkdir(dir+"/etc/systemd/network/"+name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// A link to a directory is another's, whatever its name.
	if err := os.Symlink("10-netplan-eth1.network.d", dir+"/etc/systemd/network/10-netplan-eth2.network.d"); err != nil {
		t.Fatal(err)
	}
	reconcile.Sweep(h)
	var left []string
	err = filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		left = append(left, strings.TrimPrefix(name, dir))
		return err
	})
	want := []string{"", "/etc", "/etc/netplan", "/etc/netplan/.mine.yaml", "/etc/sysctl.d", "/etc/systemd", "/etc/systemd/network",
		"/etc/systemd/network/10-netplan-eth1.network.d", "/etc/systemd/network/10-netplan-eth1.network.d/mine.conf", "/etc/systemd/network/10-netplan-eth2.network.d",
		"/etc/systemd/network/users.netdev.d", "/etc/systemd/network/users.network.d", "/etc/systemd/system",
		"/etc/systemd/system/multi-user.target.wants", "/run", "/var", "/var/lib"}
	if err != nil || !slices.Equal(left, want) {
		t.Errorf("%q, %v, want %q", left, err, want)
	}
	if data, err := os.ReadFile(sys + key); err != nil || strings.TrimSpace(string(data)) != "0" {
		t.Errorf("%q, %v", data, err)
	}
}

// TestSweepBesideService: the directory that systemd has mounted for the service stays.
func TestSweepBesideService(t *testing.T) {
	h, dir := hosttest.HostOf(t, `
-- etc/systemd/system/mape-netplan.service --
-- var/lib/mape-netplan/.hb46pp.json.mape-netplan --`)
	reconcile.Sweep(h)
	const file = "/var/lib/mape-netplan/section.yaml"
	if err := h.WritePrivate(file, "mape: {}"); err != nil {
		t.Fatal(err)
	}
	if err := h.WritePrivate(file, ""); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir + "/var/lib/mape-netplan"); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}
