package doctor

import (
	"fmt"
	"slices"
	"strings"

	"mape-netplan/reconcile/firewall"
)

// firewalls: does another program stop the gateway's packets?
func (d *diagnosis) firewalls() Finding {
	all := d.g.Obstacles(d.f)
	if len(all) == 0 {
		return good("none blocks the gateway")
	}
	seen := all[0].What
	if len(all) > 1 {
		seen += fmt.Sprintf(" (and %d more)", len(all)-1)
	}
	sure, text, advice := d.obstacles(all)
	if !sure {
		return warning(seen, text, advice)
	}
	return bad(seen, text, advice)
}

// obstacles is what others do, those first that are sure, and all that has to be done about it.
func (d *diagnosis) obstacles(all []firewall.Obstacle) (sure bool, text, advice string) {
	var does, may, do []string
	for _, o := range all {
		if a := d.sentence(o.Advice); a != "" && !slices.Contains(do, a) {
			do = append(do, a)
		}
		if o.Sure {
			does = append(does, o.What)
		} else {
			may = append(may, o.What)
		}
	}
	if does != nil {
		text = "Another firewall on this machine is in the way: " + strings.Join(does, "; ") + "."
	}
	if may != nil {
		text += " Another firewall on this machine may be in the way: " + strings.Join(may, "; ") + "."
	}
	return does != nil, strings.TrimSpace(text), strings.Join(do, " ")
}

// withFirewalls adds to a finding of what does not arrive from the line that another firewall drops it, or may.
func (d *diagnosis) withFirewalls(f Finding) Finding {
	var all []firewall.Obstacle
	for _, name := range d.candidates() {
		wan, _ := d.f.Link(name)
		all = append(all, firewall.Obstacles(firewall.Paths{WAN: wan, Delegated: d.c.WANPrefix == "pd"}, d.f.Foreign)...)
	}
	if len(all) == 0 {
		return f
	}
	sure, text, advice := d.obstacles(all)
	if sure { // No need to look further.
		return bad(f.Seen+"; "+all[0].What, text, advice)
	}
	return bad(f.Seen, f.Diagnosis+" "+text, f.Advice+" "+advice)
}
