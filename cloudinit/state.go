package cloudinit

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/resource"
)

// A State is the state of one of our units on a machine.
type State struct {
	Name    string `json:"name"`
	File    bool   `json:"file"`              // it exists
	Changed bool   `json:"changed,omitempty"` // its file differs from what this program writes
	Enabled bool   `json:"enabled"`           // a target wants it at boot
	// Active is systemd's ActiveState; "" if unknown.
	Active string `json:"state,omitempty"`
}

// States reads the state of what Install makes: files and links below the root
// and, on a machine that systemd has booted, the state of its units.
func States(ctx context.Context, h *host.Host) ([]State, error) {
	var all []State
	for _, u := range units {
		s := State{Name: u.name}
		p := absent(u.name, u.wantedBy)
		file, err := p.file.Live(h)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.file.Name(), err)
		}
		s.File = file.Text() != ""
		s.Changed = s.File && !asWritten(file)
		link, err := p.link.Read(ctx, h)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.link.Name(), err)
		}
		s.Enabled = link.Text() != ""
		if h.Booted() {
			live, err := p.state.Live(ctx, h)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.state.Name(), err)
			}
			s.Active = cmp.Or(live.State, "inactive")
		}
		all = append(all, s)
	}
	return all, nil
}

// command is what a unit runs: the program, a verb and perhaps a section.
var command = regexp.MustCompile(`(?m)^ExecStart=(\S+) \S+(?: --config (\S+))?$`)

// asWritten reports whether the file of a unit is what Install writes for the
// program and the section that are in it.
func asWritten(live resource.File) bool {
	runs := command.FindStringSubmatch(live.Data)
	return runs != nil && slices.ContainsFunc(installed(runs[1], runs[2]), func(p part) bool {
		return p.file.Path == live.Path && p.file.Data == live.Data
	})
}

// A Fault is what is wrong with the installed units, and what to do.
type Fault struct{ Seen, Diagnosis, Advice string }

// Installed reports whether the machine has anything that Install makes.
func Installed(all []State) bool {
	return slices.ContainsFunc(all, func(s State) bool { return s.File || s.Enabled })
}

// FaultOf returns the first fault of the installed units, or nil. install is the
// command that installs them.
func FaultOf(all []State, install string) *Fault {
	again := fmt.Sprintf(`Run "sudo %s".`, install)
	for _, s := range all {
		switch {
		case !s.File:
			return &Fault{s.Name + " is missing", fmt.Sprintf("The unit %s is missing, and the other one is not enough.", s.Name), again}
		case !s.Enabled:
			return &Fault{s.Name + " is not enabled", fmt.Sprintf("The unit %s does not start at the next boot: it is not enabled.", s.Name), again}
		}
	}
	if s, dead := Dead(all); dead {
		return &Fault{fmt.Sprintf("%s is installed and %s", s.Name, s.Active),
			fmt.Sprintf("The unit %s does not run (%s), so the gateway is not maintained.", s.Name, s.Active),
			fmt.Sprintf(`Run "sudo systemctl restart %s", and if it ends again, look at "journalctl -u %[1]s".`, s.Name)}
	}
	for _, s := range all {
		if s.Changed {
			return &Fault{s.Name + " is not as install writes it",
				fmt.Sprintf("The file of the unit %s was changed, or another version of the program wrote it.", s.Name),
				fmt.Sprintf(`Run "sudo %s"; settings of your own go into "systemctl edit %s".`, install, s.Name)}
		}
	}
	return nil
}

// stopped are the states of a unit that does not run or is stopping. One that is
// starting or reloading counts as running.
var stopped = []string{"failed", "inactive", "deactivating"}

// Dead returns the first unit that does not run on a machine that systemd has
// booted.
func Dead(all []State) (State, bool) {
	i := slices.IndexFunc(all, func(s State) bool { return slices.Contains(stopped, s.Active) })
	if i < 0 {
		return State{}, false
	}
	return all[i], true
}
