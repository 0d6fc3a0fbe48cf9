package cloudinit_test

import (
	"reflect"
	"strings"
	"testing"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
)

// TestStates installs the units below a directory, changes one of their files and takes a link away.
func TestStates(t *testing.T) {
	h, err := host.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	is := func(fault string, want ...cloudinit.State) {
		t.Helper()
		got, err := cloudinit.States(t.Context(), h)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
		if f := cloudinit.FaultOf(got, "mape-netplan install"); (f == nil) != (fault == "") || f != nil && f.Seen != fault {
			t.Errorf("%+v; want %s", f, fault)
		}
	}
	is("mape-netplan-guard.service is missing", cloudinit.State{Name: cloudinit.GuardUnit}, cloudinit.State{Name: cloudinit.WatchUnit})
	whole := []cloudinit.State{{Name: cloudinit.GuardUnit, File: true, Enabled: true}, {Name: cloudinit.WatchUnit, File: true, Enabled: true}}
	for _, config := range []string{"", "/etc/gw.yaml"} {
		if _, err := engine.Converge(t.Context(), h, cloudinit.Install("/opt/mape-netplan", config, false)); err != nil {
			t.Fatal(err)
		}
		is("", whole...)
	}
	file := "etc/systemd/system/" + cloudinit.WatchUnit
	data, err := h.Root.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{"PrivateTmp=yes\n", ""}, {"RestartSec=5s", "RestartSec=6s"}, {"ExecStart=", "#ExecStart="}} {
		if err := h.Root.WriteFile(file, []byte(strings.Replace(string(data), change[0], change[1], 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		is("mape-netplan.service is not as install writes it", whole[0], cloudinit.State{Name: cloudinit.WatchUnit, File: true, Enabled: true, Changed: true})
	}
	if err := h.Root.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := h.Root.Remove("etc/systemd/system/sysinit.target.wants/" + cloudinit.GuardUnit); err != nil {
		t.Fatal(err)
	}
	is("mape-netplan-guard.service is not enabled", cloudinit.State{Name: cloudinit.GuardUnit, File: true}, whole[1])
}

// TestFaultOf: what does not run comes before what was only changed.
func TestFaultOf(t *testing.T) {
	all := []cloudinit.State{{Name: cloudinit.GuardUnit, File: true, Enabled: true, Active: "active"}, {Name: cloudinit.WatchUnit, File: true, Enabled: true, Changed: true, Active: "failed"}}
	if f := cloudinit.FaultOf(all, "mape-netplan install"); f == nil || f.Seen != "mape-netplan.service is installed and failed" || !strings.Contains(f.Advice, "systemctl restart mape-netplan.service") {
		t.Errorf("%+v", f)
	}
}

// TestDead: a unit that starts or is reloaded is not dead.
func TestDead(t *testing.T) {
	for active, want := range map[string]bool{
		"": false, "active": false, "reloading": false, "activating": false, "refreshing": false,
		"failed": true, "inactive": true, "deactivating": true,
	} {
		all := []cloudinit.State{{Name: cloudinit.GuardUnit, File: true, Enabled: true, Active: "active"}, {Name: cloudinit.WatchUnit, File: true, Enabled: true, Active: active}}
		s, dead := cloudinit.Dead(all)
		if dead != want || dead && s != all[1] || (cloudinit.FaultOf(all, "mape-netplan install") != nil) != want {
			t.Errorf("%q: %+v, %v", active, s, dead)
		}
	}
}
