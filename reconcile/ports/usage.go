// Package ports tells how much of a port set is in use, and which ports are free.
package ports

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"sort"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/nat"
	"mape-netplan/schema"
)

// A Usage is how much of a port set is in use, by whom and towards where, all in real ports. It marshals to JSON.
//
// Two connections to different destinations can share a port, so a set is only ever exhausted towards one destination:
// see Busiest.
type Usage struct {
	Address netip.Prefix `json:"-"` // the shared one
	// Ports is how many NAT may draw, for each protocol: those of the set without the system's and forwarded ones, of
	// every address.
	Ports     int             `json:"ports"`
	Protocols []ProtocolUsage `json:"protocols"` // tcp, udp, icmp
	Ranges    []RangeUsage    `json:"ranges"`    // in ascending order
	Forwards  []ForwardUsage  `json:"forwards"`  // as in the section
	Hosts     []HostUsage     `json:"hosts"`     // with the most ports first
	Warnings  []string        `json:"warnings"`

	pool  nat.Pool
	used  map[usedPort]bool
	to    map[destination]int
	hosts map[hostPort]bool
}

// A ProtocolUsage is what the connections of a protocol use. A port stays in use until connection tracking forgets the
// last connection of it. In ICMP an echo identifier is a port.
type ProtocolUsage struct {
	Protocol    string       `json:"protocol"`
	Used        int          `json:"used"`
	Connections int          `json:"connections"`
	Busiest     *Destination `json:"busiest,omitempty"`
}

// A Destination is where connections go, and how many ports they have towards there.
type Destination struct {
	Address netip.Addr `json:"address"`
	Port    uint16     `json:"port,omitempty"`
	Ports   int        `json:"ports"`
}

// A RangeUsage is a range of the set, or a part of a long one, or several of many short ones.
type RangeUsage struct {
	First     uint16         `json:"first"`
	Last      uint16         `json:"last"`
	Ports     int            `json:"ports"` // that NAT may draw
	Forwarded int            `json:"forwarded"`
	Used      map[string]int `json:"used"` // by protocol
}

// A HostUsage is how many ports a host of the LAN has, by protocol.
type HostUsage struct {
	Address netip.Addr     `json:"address"`
	Used    map[string]int `json:"used"`
}

type usedPort struct {
	protocol uint8
	address  netip.AddrPort // the shared one and the real port
}

type destination struct {
	protocol uint8
	address  netip.AddrPort
}

type hostPort struct {
	host netip.Addr
	usedPort
}

// Look counts the tracked connections of the line. The error wraps fs.ErrPermission if the caller may not read them.
func Look(h *host.Host, line line.Line, forwards []schema.Forward) (Usage, error) {
	u := NewUsage(line, forwards)
	if err := kernel.Connections(h, u.add); err != nil {
		return u, err
	}
	u.sum()
	live, err := facts.Translations(h)
	if err != nil {
		return u, err
	}
	ours := func(t nat.Translation) bool {
		return t.Address == line.Softwire.Inner.Masked() && t.First == u.pool.First && t.Last == u.pool.Last
	}
	if u.pool.First > 0 && !slices.ContainsFunc(live, ours) {
		u.Warnings = append(u.Warnings, "the NAT in the kernel is not that of the section, so the ports may not be right; see \"mape-netplan status\"")
	}
	return u, nil
}

// NewUsage is a usage without connections, of a line and the forwards that work on it.
func NewUsage(line line.Line, forwards []schema.Forward) Usage {
	u := Usage{
		Address: line.Softwire.Inner.Masked(), Warnings: []string{},
		pool:   nat.Config{Ports: line.Softwire.Ports.Ranges(), NAT: schema.NAT{Forwards: forwards}}.Pool(),
		Ranges: cells(line.Softwire.Ports.Ranges()), Forwards: []ForwardUsage{},
		used: map[usedPort]bool{}, to: map[destination]int{}, hosts: map[hostPort]bool{},
	}
	for _, port := range u.pool.Ports() {
		u.Ports++
		u.cell(port).Ports++
	}
	for _, f := range forwards {
		u.Forwards = append(u.Forwards, forwardUsage(f))
		for _, r := range f.Ports {
			for port := int(r.First); port <= int(r.Last); port++ {
				if c := u.cell(uint16(port)); c != nil {
					c.Forwarded++
				}
			}
		}
	}
	u.Ports *= 1 << (32 - u.Address.Bits())
	return u
}

// add counts a connection if it is of the line.
func (u *Usage) add(c *kernel.Connection) {
	if c.Zoned || kernel.ProtocolNames[c.Protocol] == "" {
		return
	}
	as, n := c.ReplyDst, c.ReplyDst.Port()
	switch {
	// First, because a client of a forward may share the address, with a port of another set.
	case c.DNAT && u.Address.Contains(c.Dst.Addr()) && c.Protocol != kernel.ProtoICMP:
		u.addInbound(c)
	case u.Address.Contains(as.Addr()) && u.pool.First <= n && n <= u.pool.Last:
		use := usedPort{c.Protocol, netip.AddrPortFrom(as.Addr(), u.pool.Port(n))}
		if u.cell(use.address.Port()) == nil {
			return
		}
		u.used[use] = true
		u.hosts[hostPort{c.Src.Addr(), use}] = true
		to := destination{c.Protocol, c.ReplySrc}
		if c.Protocol == kernel.ProtoICMP {
			to.address = netip.AddrPortFrom(c.ReplySrc.Addr(), 0)
		}
		u.to[to]++ // To one destination every connection has a port of its own.
	}
}

// sum adds the counts up for each protocol, range and host.
func (u *Usage) sum() {
	index := map[uint8]int{}
	u.Protocols = nil
	for i, protocol := range kernel.NATProtocols {
		index[protocol] = i
		u.Protocols = append(u.Protocols, ProtocolUsage{Protocol: kernel.ProtocolNames[protocol]})
	}
	for use := range u.used {
		u.Protocols[index[use.protocol]].Used++
		u.cell(use.address.Port()).Used[kernel.ProtocolNames[use.protocol]]++
	}
	busier := func(a, b Destination) int {
		return cmp.Or(cmp.Compare(a.Ports, b.Ports), b.Address.Compare(a.Address), cmp.Compare(b.Port, a.Port))
	}
	for to, n := range u.to {
		p, d := &u.Protocols[index[to.protocol]], Destination{to.address.Addr(), to.address.Port(), n}
		p.Connections += n
		if p.Busiest == nil || busier(d, *p.Busiest) > 0 {
			p.Busiest = &d
		}
	}
	hosts := map[netip.Addr]map[string]int{}
	for use := range u.hosts {
		if hosts[use.host] == nil {
			hosts[use.host] = perProtocol()
		}
		hosts[use.host][kernel.ProtocolNames[use.protocol]]++
	}
	u.Hosts = []HostUsage{}
	for host, used := range hosts {
		u.Hosts = append(u.Hosts, HostUsage{host, used})
	}
	sort.Slice(u.Hosts, func(i, j int) bool {
		a, b := u.Hosts[i], u.Hosts[j]
		return cmp.Or(cmp.Compare(b.all(), a.all()), a.Address.Compare(b.Address)) < 0
	})
}

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

// perProtocol is a count of 0 for each protocol.
func perProtocol() map[string]int {
	all := map[string]int{}
	for _, protocol := range kernel.NATProtocols {
		all[kernel.ProtocolNames[protocol]] = 0
	}
	return all
}

func (h HostUsage) all() (n int) {
	for used := range maps.Values(h.Used) {
		n += used
	}
	return n
}
