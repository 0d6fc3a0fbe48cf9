package gatewaytest

import (
	"net/netip"
	"slices"

	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// Shared is a softwire with a port set, of which the table needs nothing else.
func Shared(psid uint16, length, offset int) softwire.Softwire {
	return softwire.Softwire{
		Mode: softwire.MAPE, NAT: true, Inner: netip.MustParsePrefix("192.0.2.18/32"), Ports: softwire.Ports{PSID: psid, PSIDLen: length, PSIDOffset: offset},
	}
}

// GatewayOf is a gateway as its table sees it.
//
// Without NAT the LAN's addresses are those of the softwire.
func GatewayOf(sw softwire.Softwire, mtu int) *gateway.Gateway {
	g := &gateway.Gateway{Line: line.Line{Softwire: sw}, Tunnel: kernel.Tunnel{Link: "mape0", MTU: mtu}, NAT: schema.NAT{Conntrack: defaultConntrack()}}
	if !sw.NAT {
		g.Untranslated = []netip.Prefix{sw.Inner}
	}
	return g
}

// EgressOf is the filter of a softwire's tunnel.
func EgressOf(sw softwire.Softwire) resource.Egress {
	return resource.EgressOf("mape0", []netip.Prefix{sw.Inner}, sw.Ports)
}

// defaultConntrack is what a section without conntrack has.
func defaultConntrack() schema.Conntrack {
	c, err := schema.Parse("gw.yaml", []byte("mape: {}"))
	if err != nil {
		panic(err)
	}
	return c.Conntrack
}

// TableOf is the table of a gateway.
func TableOf(g *gateway.Gateway) nft.Table { return nat.Table(g.NATConfig(), g.NATConfig().Pool()) }

// Untranslated is the softwire of a LAN whose packets leave as they are.
var Untranslated = softwire.Softwire{Mode: softwire.DSLite, Inner: netip.MustParsePrefix("192.168.1.0/24")}

// NatKinds has one softwire for each shape that a table can have.
var NatKinds = map[string]softwire.Softwire{
	"ocn":           Shared(0x34, 6, 6),
	"v6plus":        Shared(0x41, 8, 4),
	"overlap":       Shared(2, 2, 5), // no gap is as wide as the pool
	"offset0":       Shared(5, 4, 0),
	"offset0-psid0": Shared(0, 4, 0),
	"system-ports":  Shared(0, 8, 0), // nothing that NAT may draw
	"address":       Shared(0, 0, 4),
	"prefix":        {Mode: softwire.MAPE, NAT: true, Inner: netip.MustParsePrefix("192.0.2.16/28")},
}

// Softwires calls f with every offset and length, and PSIDs at both ends and between.
func Softwires(f func(softwire.Softwire)) {
	for offset := range 16 {
		for length := range 17 - offset {
			last := uint16(1<<length - 1)
			for _, psid := range slices.Compact([]uint16{0, min(1, last), last}) {
				if sw := Shared(psid, length, offset); sw.Ports.Count() > 0 {
					f(sw)
				}
			}
		}
	}
}

// Edges forwards a port at each end of a set, one of another number.
func Edges(sw softwire.Softwire) []schema.Forward {
	set := sw.Ports.Ranges()
	first, last := set[0].First, set[len(set)-1].Last
	all := []schema.Forward{{Protocol: "both", Ports: []schema.PortRange{{First: first, Last: first}}, To: netip.MustParseAddrPort("192.168.1.10:0")}}
	if last > first {
		all = append(all, schema.Forward{Protocol: "udp", Ports: []schema.PortRange{{First: last, Last: last}}, To: netip.MustParseAddrPort("192.168.1.10:22")})
	}
	return all
}

// ForwardsOf returns forwards of the first ports of a set: one to another port of the LAN host, a range by number, one to
// the gateway itself.
func ForwardsOf(sw softwire.Softwire) []schema.Forward {
	first := sw.Ports.Ranges()[0].First
	if first < nat.FirstPort {
		first = 2000
	}
	return []schema.Forward{
		{Protocol: "both", Ports: []schema.PortRange{{First: first, Last: first}}, To: netip.MustParseAddrPort("192.168.1.10:22")},
		{Protocol: "tcp", Ports: []schema.PortRange{{First: first + 1, Last: first + 3}}, To: netip.MustParseAddrPort("192.168.1.10:0")},
		{Protocol: "udp", Ports: []schema.PortRange{{First: first + 1, Last: first + 2}}, To: netip.MustParseAddrPort("192.168.1.10:7000")},
		{Protocol: "both", Ports: []schema.PortRange{{First: first + 4, Last: first + 4}}, To: netip.MustParseAddrPort("192.168.1.1:2222")},
	}
}

// ForwardKinds are sets of every shape that a forward makes something else of.
var ForwardKinds = []string{"ocn", "v6plus", "overlap", "offset0", "address", "prefix"}

// ForwardTargets are a LAN host, this machine itself and a container; the ports are the first ones of the line's set.
func ForwardTargets(first uint16) []schema.Forward {
	one := func(protocol string, port uint16, to string) schema.Forward {
		return schema.Forward{Protocol: protocol, Ports: []schema.PortRange{{First: port, Last: port}}, To: netip.MustParseAddrPort(to)}
	}
	return []schema.Forward{one("tcp", first, "192.168.1.10:22"), one("udp", first+1, "192.168.1.1:2222"), one("tcp", first+2, "172.17.0.2:80")}
}
