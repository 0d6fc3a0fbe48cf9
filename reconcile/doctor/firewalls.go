package doctor

import (
	"fmt"
	"slices"

	"mape-netplan/reconcile/firewall"
)

// firewalls: does another program stop the gateway's packets?
func (d *diagnosis) firewalls() Finding {
	var sure, may []firewall.Obstacle
	for _, o := range d.g.Obstacles(d.f) {
		if o.Sure {
			sure = append(sure, o)
		} else {
			may = append(may, o)
		}
	}
	switch all := slices.Concat(sure, may); {
	case len(sure) > 0:
		return bad(d.count(all), "Another firewall on this machine is in the way: "+sure[0].What+".", d.sentence(sure[0].Advice))
	case len(may) > 0:
		return warning(d.count(all), "Another firewall on this machine may be in the way: "+may[0].What+".", d.sentence(may[0].Advice))
	}
	return good("none blocks the gateway")
}

// count is the first obstacle, and how many more there are.
func (d *diagnosis) count(all []firewall.Obstacle) string {
	if len(all) == 1 {
		return all[0].What
	}
	return fmt.Sprintf("%s (and %d more)", all[0].What, len(all)-1)
}
