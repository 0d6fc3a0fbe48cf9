// Package ports tells how much of a port set is in use, and which ports are free.
package ports

import (
	"cmp"
	"maps"
	"net/netip"
	"reflect"
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
// Two connections to different destinations can share a port, so a set is only ever used up towards one destination:
// that is what Busiest tells.
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

// Look counts what connection tracking has of the line. An error that wraps fs.ErrPermission says that the
// caller may not look.
func Look(h *host.Host, line line.Line, forwards []schema.Forward) (Usage, error) {
	u := NewUsage(line, forwards)
	if err := kernel.Connections(h, u.add); err != nil {
		return u, err
	}
	u.sum()
	ours := func(t nat.Translation) bool {
		return t.Address == line.Softwire.IPv4.Masked() && t.First == u.pool.First && t.Last == u.pool.Last
	}
	if u.pool.First > 0 && !slices.ContainsFunc(facts.Translations(h), ours) {
		u.Warnings = append(u.Warnings, "the NAT in the kernel is not that of the section, so the ports may not be right; see \"mape-netplan status\"")
	}
	return u, nil
}

// NewUsage is one without any connection.
func NewUsage(line line.Line, forwards []schema.Forward) Usage {
	u := Usage{
		Address: line.Softwire.IPv4.Masked(), Warnings: []string{},
		pool:   nat.Config{Ports: line.Softwire.Ports(), Forwards: forwards}.Pool(),
		Ranges: cells(line.Softwire.Ports()), Forwards: []ForwardUsage{},
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

// add counts a connection if it is of the line.
func (u *Usage) add(c *kernel.Connection) {
	if c.Zoned || kernel.ProtocolNames[c.Protocol] == "" {
		return
	}
	as, n := c.ReplyDst, c.ReplyDst.Port()
	switch {
	// First, because who is connected to a forward may have the same address, with a port of another set.
	case c.Dnat && u.Address.Contains(c.Dst.Addr()) && c.Protocol != kernel.ProtoICMP:
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

// addInbound counts a connection that began outside: a forward's, or one that was let in.
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

// sum makes of what was counted what is shown.
func (u *Usage) sum() {
	index := map[uint8]int{}
	u.Protocols = nil
	for i, protocol := range kernel.NatProtocols {
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

// perProtocol is none of each.
func perProtocol() map[string]int {
	none := map[string]int{}
	for _, protocol := range kernel.NatProtocols {
		none[kernel.ProtocolNames[protocol]] = 0
	}
	return none
}

func (h HostUsage) all() (n int) {
	for used := range maps.Values(h.Used) {
		n += used
	}
	return n
}
