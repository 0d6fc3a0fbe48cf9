package ports

import (
	"net/netip"
	"reflect"
	"slices"

	"mape-netplan/reconcile/kernel"
	"mape-netplan/schema"
)

// A ForwardUsage is a forward of the section and how many connections it has.
type ForwardUsage struct {
	Protocol    string `json:"protocol"` // tcp, udp or both
	Ports       string `json:"ports"`
	To          string `json:"to"`
	Connections int    `json:"connections"`
	// Off: the forward does not work, because its ports are not in the set.
	Off bool `json:"off,omitempty"`

	ranges []schema.PortRange
}

func forwardUsage(f schema.Forward) ForwardUsage {
	u := ForwardUsage{Protocol: f.Protocol, Ports: Ports(f.Ports), To: f.To.String(), ranges: f.Ports}
	if f.To.Port() == 0 {
		u.To = f.To.Addr().String()
	}
	return u
}

// ListForwards lists the forwards of a section in their order: those that are on with their connections, the others as off.
func (u *Usage) ListForwards(all, on []schema.Forward) {
	list := []ForwardUsage{}
	for _, f := range all {
		if len(on) > 0 && reflect.DeepEqual(f, on[0]) {
			list, u.Forwards, on = append(list, u.Forwards[0]), u.Forwards[1:], on[1:]
			continue
		}
		use := forwardUsage(f)
		use.Off = true
		list = append(list, use)
	}
	u.Forwards = list
}

// addInbound counts a connection from outside: of a forward, or of inbound: accept.
func (u *Usage) addInbound(c *kernel.Connection) {
	port := u.pool.Port(c.Dst.Port())
	for i, f := range u.Forwards {
		if f.Protocol != "both" && f.Protocol != kernel.ProtocolNames[c.Protocol] {
			continue
		}
		if slices.ContainsFunc(f.ranges, func(r schema.PortRange) bool { return r.First <= port && port <= r.Last }) {
			u.Forwards[i].Connections++
			return
		}
	}
	if u.cell(port) != nil {
		u.used[usedPort{c.Protocol, netip.AddrPortFrom(c.Dst.Addr(), port)}] = true
	}
}
