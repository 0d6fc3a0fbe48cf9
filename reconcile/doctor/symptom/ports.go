package symptom

import (
	"context"
	"strconv"
	"strings"

	"mape-netplan/reconcile/ports"
)

// Ports is how the port set is used.
type Ports struct {
	ports.Usage
	Busiest []ports.BusyDestination `json:"busiest"`
}

// mostShown is how many of the busiest destinations are named.
const mostShown = 5

// Tracked is how full the kernel's table of connections is.
type Tracked struct {
	Count int `json:"count"`
	Max   int `json:"max"`
}

// ports counts the connections by port, where the line has a port set, and in all.
func (g *gatherer) ports(_ context.Context, s *Symptoms) error {
	s.Tracked = Tracked{g.number("nf_conntrack_count"), g.number("nf_conntrack_max")}
	if !g.known() {
		return nil
	}
	l, on, _ := g.aim.Current(g.c)
	u, err := ports.Look(g.h, l, on)
	if err == nil {
		s.Ports = &Ports{u, u.Busiest(mostShown)}
	}
	return err
}

// number reads a parameter of connection tracking; 0 if it cannot be read.
func (g *gatherer) number(key string) int {
	data, err := g.h.Sys.ReadFile("net/netfilter/" + key)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	return n
}
