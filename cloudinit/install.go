package cloudinit

import (
	_ "embed"
	"slices"
	"strings"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/resource"
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

// units are our units and the targets that want them, as in their [Install]
// sections, in the order in which they start.
var units = []struct{ name, text, wantedBy string }{
	{GuardUnit, guardText, "sysinit.target"},
	{WatchUnit, watchText, "multi-user.target"},
}

// A part is what the machine has for one unit: its file, the link that enables
// it, and its state.
type part struct {
	file  resource.File
	link  resource.Symlink
	state resource.Unit
}

// installed are the parts that Install makes.
func installed(program, config string) (all []part) {
	flags := ""
	if config != "" {
		flags = " --config " + config
	}
	fill := strings.NewReplacer("@PROGRAM@", program, "@FLAGS@", flags)
	for _, u := range units {
		unit := unitDir + "/" + u.name
		p := part{
			file:  resource.File{Path: unit, Mode: 0o644, Data: fill.Replace(u.text)},
			link:  resource.Symlink{Path: wants(u.wantedBy, u.name), Target: unit},
			state: resource.Unit{Unit: u.name, State: "active"},
		}
		if u.name == WatchUnit {
			p.state.Program = program
		}
		all = append(all, p)
	}
	return all
}

// Install compiles the units, the links that enable them and, on a machine that
// systemd has booted, their active state. config is the section's file, "" for
// the default.
func Install(program, config string, booted bool) []engine.Resource {
	var files, links, live []engine.Resource
	for _, p := range installed(program, config) {
		files, links, live = append(files, p.file), append(links, p.link), append(live, p.state)
	}
	if !booted {
		live = nil
	}
	return append(append(files, links...), live...)
}

// Uninstall compiles a machine without them. Stopping the units leaves the
// gateway as it is.
func Uninstall(booted bool) []engine.Resource {
	var files, links, live []engine.Resource
	for _, u := range units {
		p := absent(u.name, u.wantedBy)
		files, links, live = append(files, p.file), append(links, p.link), append(live, p.state)
	}
	slices.Reverse(live) // The service before the guard.
	if !booted {
		live = nil
	}
	return append(append(live, links...), files...)
}

// absent are the parts of a unit that is not installed.
func absent(unit, target string) part {
	return part{resource.File{Path: unitDir + "/" + unit}, resource.Symlink{Path: wants(target, unit)}, resource.Unit{Unit: unit}}
}

func wants(target, unit string) string {
	return unitDir + "/" + target + ".wants/" + unit
}
