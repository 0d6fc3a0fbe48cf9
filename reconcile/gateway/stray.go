package gateway

import (
	"fmt"
	"slices"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
)

// Strays are warnings of packets that this machine does not send into the
// tunnel although nothing is wrong with that and its route. Changes are what a
// run would change: where that is one of the two, there is nothing to say yet.
func (g *Gateway) Strays(h *host.Host, changes []engine.Change) []string {
	pending := slices.ContainsFunc(changes, func(c engine.Change) bool {
		t := c.After.Traits()
		return t.Makes == g.Tunnel || t.Event == engine.RouteEvent
	})
	if !h.Live() || pending {
		return nil
	}
	var all []string
	var former kernel.Path
	for _, to := range facts.Faraway {
		p := kernel.PathTo(h, to)
		same := p.Link == former.Link && p.Route == former.Route && p.Table == former.Table && p.Error == former.Error
		if former = p; same || !p.Strays(g.Tunnel) {
			continue
		}
		all = append(all, fmt.Sprintf("packets of this machine to the internet (%s) %s; %s", to, p.Where(g.Tunnel), p.Advice()))
	}
	return all
}
