package ports

import (
	"cmp"
	"slices"

	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/sysctld"
)

// ForwardKey is the parameter that makes the machine a router of IPv4.
const ForwardKey = sysctld.ForwardKey

// FilterKey is the parameter by which the kernel may drop what comes back through a link.
func FilterKey(link string) string { return sysctld.FilterKey(link) }

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
	slices.SortFunc(all, func(a, b BusyDestination) int {
		return cmp.Or(cmp.Compare(b.Ports, a.Ports), a.Address.Compare(b.Address), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	return all[:min(n, len(all))]
}
