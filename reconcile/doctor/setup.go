package doctor

import (
	"fmt"
	"strings"

	"mape-netplan/reconcile/resource"
)

// refused is a resource that apply cannot read, such as a file of another program at the path of one of ours.
func (d *diagnosis) refused() (Finding, bool) {
	for _, x := range d.s.Differences {
		if x.Error != "" {
			return bad(x.Name+" "+x.Refusal(), "What sets up the gateway refuses: "+x.Name+" "+oneLine(x.Refusal())+".",
				"Fix that first; then run \""+d.command()+"\"."), true
		}
	}
	return Finding{}, false
}

// setup: is the machine set up as a gateway, and if not, could it be?
func (d *diagnosis) setup() Finding {
	other, differs := d.difference(resource.NoTunnel(d.c.Tunnel))
	switch {
	case differs && other.Error != "": // as a rule an interface of another program
		return bad(d.c.Tunnel+": "+other.Error, fmt.Sprintf("The tunnel %s cannot be created or repaired: %s.", d.c.Tunnel, other.Error),
			`Give it another name with "tunnel:" in the section, or remove what has that name; then run "`+d.command()+`".`)
	case d.s.Tunnel != nil || len(d.f.Owned.Files) > 0:
		return good("this machine is set up as the line's gateway")
	case d.duplicate(): // for the next check
		return skipped("nothing has been set up yet")
	}
	return d.ready()
}

// ready is setup if nothing has been set up yet: what would keep install from success?
func (d *diagnosis) ready() Finding {
	if d.g == nil { // Only a rival gets here: the check of the rule has the other reasons.
		return d.rival("has an IPv4 default route of metric 0")
	}
	if f, ok := d.refused(); ok {
		return f
	}
	if d.s.Module == "no" {
		return noModule()
	}
	if d.s.NoSystemd != "" {
		return bad(d.s.NoSystemd, "Nothing has been set up yet, and the service cannot be: "+d.s.NoSystemd+".",
			"Boot this machine, or the container, with systemd as its init, and have systemd-networkd configure "+d.wan+`; then run "sudo mape-netplan install".`)
	}
	if f := d.firewalls(); f.State == Bad {
		f.Advice += ` Then run "` + d.command() + `".`
		return f
	}
	if d.s.Refusal != "" && !d.installed() {
		return bad("install would refuse", d.sentence("The line is there, and install would refuse: "+d.s.Refusal),
			`Do what it says there; then run "`+d.command()+`".`)
	}
	return bad("nothing has been set up yet"+d.maybeNoModule(), "The line is there, but this machine is not set up as its gateway yet.", d.restore()+d.maybeLoad())
}

// warnings: does plan warn of what no other check is about?
func (d *diagnosis) warnings() Finding {
	all := d.g.Warnings
	if len(all) == 0 {
		return good("none")
	}
	seen := all[0]
	if len(all) > 1 {
		seen += fmt.Sprintf(" (and %d more)", len(all)-1)
	}
	return warning(seen, d.sentence(strings.Join(all, ". Also: ")), `Do what it says there; "mape-netplan plan" shows the same.`)
}

// settings: is everything else as apply makes it?
func (d *diagnosis) settings() Finding {
	if f, ok := d.refused(); ok {
		return f
	}
	var names []string
	for _, x := range d.s.Differences {
		names = append(names, x.Name)
	}
	if len(names) == 0 {
		return good("everything else is as apply makes it")
	}
	return warning("not as apply makes it: "+strings.Join(names, ", "),
		fmt.Sprintf("Some of what this program makes is not as it should be, and may stop working at the next boot: %s.", strings.Join(names, ", ")), d.restore())
}
