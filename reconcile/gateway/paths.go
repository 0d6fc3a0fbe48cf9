package gateway

import (
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/firewall"
	"mape-netplan/reconcile/kernel"
)

// Paths is where this gateway's packets go on a machine.
func (g *Gateway) Paths(f facts.Facts) firewall.Paths {
	link := func(name string) kernel.Link {
		l, _ := f.Link(name)
		l.Name = name // The tunnel may not be there yet.
		return l
	}
	p := firewall.Paths{
		Tunnel: link(g.Tunnel), WAN: link(g.WAN.Name), Links: f.Links,
		CE: g.Softwire.CE, BR: g.Softwire.BR, Forwards: g.Forwards,
	}
	for _, name := range g.LAN {
		p.LAN = append(p.LAN, link(name))
	}
	return p
}

// Obstacles lists what others do to packets that this gateway needs.
func (g *Gateway) Obstacles(f facts.Facts) []firewall.Obstacle {
	return firewall.Obstacles(g.Paths(f), f.Foreign)
}
