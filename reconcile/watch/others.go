package watch

import (
	"fmt"
	"slices"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/firewall"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
)

// Others are what other programs do to the packets of a gateway.
type others struct {
	rules     firewall.Foreign
	obstacles []string
	of        string // the paths that the obstacles are of
}

// warnings are one for each rule or route that keeps packets of a gateway that is in sync from their way. The rules are
// read only where they have changed, and compared with the gateway's paths only where one of both has: there may be
// thousands.
func (o *others) warnings(h *host.Host, g *gateway.Gateway, f facts.Facts, changed bool) ([]string, error) {
	if changed {
		rules, err := firewall.Read(h)
		if err != nil {
			return nil, err
		}
		o.rules = rules
	}
	if of := pathsOf(g, f); changed || of != o.of {
		o.of, o.obstacles = of, nil
		f.Foreign = o.rules
		for _, obstacle := range g.Obstacles(f) {
			o.obstacles = append(o.obstacles, obstacle.String())
		}
	}
	return slices.Concat(o.obstacles, g.Strays(h, nil)), nil
}

// pathsOf is what the obstacles of a gateway depend on besides the rules.
func pathsOf(g *gateway.Gateway, f facts.Facts) string {
	key := fmt.Append(nil, g, g.WAN.Name, g.LAN, g.Forwards)
	for _, l := range f.Links {
		key = append(append(key, ' '), l.Name...)
		for _, a := range l.Addresses {
			if a.Prefix.Addr().Is4() {
				key = a.Prefix.AppendTo(append(key, ' '))
			}
		}
	}
	return string(key)
}
