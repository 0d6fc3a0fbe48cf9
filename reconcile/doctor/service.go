package doctor

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile"
)

// units looks at what install makes: files and links below the root and, where systemd runs the machine, what it has
// made of them.
func (e *examination) units(ctx context.Context) ([]Unit, error) {
	all := []Unit{{Name: cloudinit.GuardUnit}, {Name: cloudinit.WatchUnit}}
	unit := func(name string) *Unit {
		return &all[slices.IndexFunc(all, func(u Unit) bool { return u.Name == name })]
	}
	for _, r := range cloudinit.Uninstall(e.h.Booted()) {
		live, err := r.Read(ctx, e.h)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Name(), err)
		}
		switch live := live.(type) {
		case reconcile.File:
			unit(path.Base(live.Path)).File = live.Text() != ""
		case reconcile.Symlink:
			unit(path.Base(live.Path)).Enabled = live.Text() != ""
		case reconcile.Unit:
			unit(live.Unit).State = cmp.Or(live.State, "inactive")
		}
	}
	return all, nil
}

// installed says whether every unit is there and will be at the next boot.
func (d *consult) installed() bool {
	return len(d.s.Units) > 0 && !slices.ContainsFunc(d.s.Units, func(u Unit) bool { return !u.File || !u.Enabled })
}

// dead is a unit that is installed and does not run.
func (d *consult) dead() (Unit, bool) {
	i := slices.IndexFunc(d.s.Units, func(u Unit) bool { return u.State != "" && u.State != "active" })
	if i < 0 {
		return Unit{}, false
	}
	return d.s.Units[i], true
}

// command is what makes the machine what the section says, and keeps it so.
func (d *consult) command() string {
	if d.s.Units == nil {
		return "sudo mape-netplan apply"
	}
	if !d.installed() {
		return "sudo mape-netplan install"
	}
	if u, dead := d.dead(); dead {
		return "sudo systemctl restart " + u.Name
	}
	return "sudo mape-netplan apply"
}

func (d *consult) mend() string { return `Type "` + d.command() + `".` }

// last is mend for what something else may undo.
func (d *consult) last() string {
	return `Type "` + d.command() + `", and if that does not last, look at "mape-netplan status" again.`
}

// service: does anything keep the gateway, and bring it back at boot?
func (d *consult) service() Finding {
	if len(d.s.Units) == 0 {
		return skipped("not known%s", d.why("units"))
	}
	if !slices.ContainsFunc(d.s.Units, func(u Unit) bool { return u.File || u.Enabled }) {
		return warning("not installed", "The service is not installed, so nothing keeps the gateway: after a boot the tunnel comes up without NAT, and packets leave with private addresses.",
			`Type "sudo mape-netplan install".`)
	}
	for _, u := range d.s.Units {
		switch {
		case !u.File:
			return warning(u.Name+" is missing", fmt.Sprintf("The unit %s is missing, and the other of the two does not suffice.", u.Name), d.mend())
		case !u.Enabled:
			return warning(u.Name+" is not enabled", fmt.Sprintf("The unit %s does not start at the next boot: it is not enabled.", u.Name), d.mend())
		}
	}
	if u, dead := d.dead(); dead {
		return warning(fmt.Sprintf("%s is installed and %s", u.Name, u.State),
			fmt.Sprintf("The unit %s does not run (%s), so that what it keeps is not kept.", u.Name, u.State),
			fmt.Sprintf(`Type "sudo systemctl restart %s", and if it ends again, look at "journalctl -u %[1]s".`, u.Name))
	}
	if d.s.Units[0].State == "" {
		return good("installed")
	}
	return good("installed and active")
}
