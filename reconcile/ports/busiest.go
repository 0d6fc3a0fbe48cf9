package ports

import (
	"cmp"
	"sort"

	"mape-netplan/reconcile/kernel"
)

// A BusyDestination is where connections of a protocol go.
type BusyDestination struct {
	Protocol string `json:"protocol"`
	Destination
}

// Busiest are the n destinations towards which most ports are in use, the one with most first.
func (u Usage) Busiest(n int) []BusyDestination {
	var all []BusyDestination
	for to, ports := range u.to {
		all = append(all, BusyDestination{kernel.ProtocolNames[to.protocol], Destination{to.address.Addr(), to.address.Port(), ports}})
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		return cmp.Or(cmp.Compare(b.Ports, a.Ports), a.Address.Compare(b.Address), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol)) < 0
	})
	return all[:min(n, len(all))]
}
