package doctor

import (
	"slices"
	"strings"

	"mape-netplan/cloudinit"
)

// installed reports whether every unit is there and enabled.
func (d *diagnosis) installed() bool {
	return len(d.s.Units) > 0 && !slices.ContainsFunc(d.s.Units, func(u cloudinit.State) bool { return !u.File || !u.Enabled })
}

// command is what to run to restore the gateway and keep it.
func (d *diagnosis) command() string {
	if d.s.Units == nil || d.s.NoSystemd != "" {
		return "sudo mape-netplan apply"
	}
	if !d.installed() {
		return "sudo mape-netplan install"
	}
	if u, dead := cloudinit.Dead(d.s.Units); dead {
		return "sudo systemctl restart " + u.Name
	}
	return "sudo mape-netplan apply"
}

func (d *diagnosis) restore() string { return `Run "` + d.command() + `".` }

// last is restore for what another program may undo.
func (d *diagnosis) last() string {
	return `Run "` + d.command() + `", and if that does not last, run "mape-netplan status".`
}

// service: are the units installed, enabled and running?
func (d *diagnosis) service() Finding {
	if len(d.s.Units) == 0 {
		return skipped("not known%s", d.why("units"))
	}
	if !cloudinit.Installed(d.s.Units) {
		advice := `Run "sudo mape-netplan install".`
		if d.s.Refusal != "" {
			advice = d.sentence("install would refuse now: "+d.s.Refusal) + " After that " + strings.ToLower(advice[:1]) + advice[1:]
		}
		return warning("not installed", "The service is not installed, so nothing keeps the gateway: after a boot the tunnel comes up without NAT, and packets leave with private addresses.",
			advice)
	}
	if f := cloudinit.FaultOf(d.s.Units, "mape-netplan install"); f != nil {
		return warning(f.Seen, f.Diagnosis, f.Advice)
	}
	if d.s.Units[0].Active == "" {
		return good("installed")
	}
	return good("installed and active")
}
