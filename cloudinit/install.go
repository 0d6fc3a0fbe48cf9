package cloudinit

import (
	_ "embed"
	"strings"

	"mape-netplan/reconcile"
)

// The units: the guard is up before any network is, the service keeps the
// gateway.
const (
	GuardUnit = "mape-netplan-guard.service"
	WatchUnit = "mape-netplan.service"
)

var (
	//go:embed mape-netplan-guard.service
	guardText string
	//go:embed mape-netplan.service
	watchText string
)

// unitDir is where the administrator's units are, and where systemctl puts the
// links of those that are enabled.
const unitDir = "/etc/systemd/system"

// units are our units and the targets that want them, in the order in which
// they start. It is what their [Install] sections say.
var units = []struct{ name, text, wantedBy string }{
	{GuardUnit, guardText, "sysinit.target"},
	{WatchUnit, watchText, "multi-user.target"},
}

// Install compiles what makes the machine a gateway from now on and at every
// boot: the units, the links that enable them and, on a machine that systemd
// has booted, that they run. config is the section's file, "" for the default.
func Install(program, config string, booted bool) []reconcile.Resource {
	flags := ""
	if config != "" {
		flags = " --config " + config
	}
	fill := strings.NewReplacer("@PROGRAM@", program, "@FLAGS@", flags)
	var files, links, live []reconcile.Resource
	for _, u := range units {
		unit := unitDir + "/" + u.name
		files = append(files, reconcile.File{Path: unit, Mode: 0o644, Data: fill.Replace(u.text)})
		links = append(links, reconcile.Symlink{Path: wants(u.wantedBy, u.name), Target: unit})
		runs := reconcile.Unit{Unit: u.name, State: "active"}
		if u.name == WatchUnit {
			runs.Program = program
		}
		live = append(live, runs)
	}
	if !booted {
		live = nil
	}
	return append(append(files, links...), live...)
}

// Uninstall compiles a machine without all of that. Stopping the units leaves
// the gateway as it is.
func Uninstall(booted bool) []reconcile.Resource {
	var files, links, live []reconcile.Resource
	for _, u := range units {
		live = append([]reconcile.Resource{reconcile.Unit{Unit: u.name}}, live...)
		links = append(links, reconcile.Symlink{Path: wants(u.wantedBy, u.name)})
		files = append(files, reconcile.File{Path: unitDir + "/" + u.name})
	}
	if !booted {
		live = nil
	}
	return append(append(live, links...), files...)
}

func wants(target, unit string) string {
	return unitDir + "/" + target + ".wants/" + unit
}
