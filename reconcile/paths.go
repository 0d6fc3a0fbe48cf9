package reconcile

// paths is where this gateway's packets go on a machine.
func (g *Gateway) paths(f Facts) Paths {
	link := func(name string) Link {
		l, _ := f.Link(name)
		l.Name = name // The tunnel may not be there yet.
		return l
	}
	p := Paths{
		Tunnel: link(g.Tunnel), WAN: link(g.WAN.Name), Links: f.Links,
		CE: g.Softwire.CE, BR: g.Softwire.BR, Forwards: g.Forwards,
	}
	for _, name := range g.LAN {
		p.LAN = append(p.LAN, link(name))
	}
	return p
}

// Obstacles lists what others do to packets that this gateway needs.
func (g *Gateway) Obstacles(f Facts) []Obstacle { return Obstacles(g.paths(f), f.Foreign) }
