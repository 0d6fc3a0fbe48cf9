package nat

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nft"
	"mape-netplan/schema"
)

// dstnat forwards the section's ports and drops every other connection that begins on the line. Only the first packet of a
// connection meets a chain of this type, so the packets of all others do not pay. It runs before other tables' destination
// NAT (-100), and before routing: such a packet causes no redirect, time exceeded or unreachable.
//
// From the LAN the shared address and a forwarded port reach the same service.
func (n natTable) dstnat() nft.Chain {
	c := nft.Chain{Name: "dstnat", Type: nftables.ChainTypeNAT, Hook: *nftables.ChainHookPrerouting, Priority: -101}
	if len(n.Forwards) > 0 {
		c.Rules = append(c.Rules, nft.NewRule(nft.Within(nft.IPDaddr, n.Address), nft.Jump(forwardsChain)))
	}
	if !n.accepts() {
		c.Rules = append(c.Rules, nft.NewRule(nft.Is(nft.IIfName, n.tun), nft.Drop))
	}
	// A protocol without ports cannot share an address. It never leaves, and here the sender can still be told. Multicast
	// and broadcast are routed into the tunnel as well, but are for the gateway.
	c.Rules = append(c.Rules, nft.NewRule(
		nft.Not(nft.L4Proto, []byte{kernel.ProtoTCP}), nft.Not(nft.L4Proto, []byte{kernel.ProtoUDP}), nft.Not(nft.L4Proto, []byte{kernel.ProtoICMP}),
		nft.Outside(nft.IPDaddr, netip.MustParsePrefix("224.0.0.0/3")), nft.Is(nft.RouteOIfName, n.tun), nft.RejectProtocol))
	return c
}

// output is dstnat for what the gateway itself sends.
func (n natTable) output() nft.Chain {
	return nft.Chain{
		Name: "output", Type: nftables.ChainTypeNAT, Hook: *nftables.ChainHookOutput, Priority: -101,
		Rules: []nft.Rule{nft.NewRule(nft.Within(nft.IPDaddr, n.Address), nft.Jump(forwardsChain))},
	}
}

// forwarding has one rule for each range of ports that keep their numbers, and one for each port that gets another.
func (n natTable) forwarding() nft.Chain {
	c := nft.Chain{Name: forwardsChain}
	for _, f := range n.Forwards {
		for _, p := range transports(f) {
			next := f.To.Port()
			for _, r := range f.Ports {
				if next == 0 {
					c.Rules = append(c.Rules, p.forward(r, f.To))
					continue
				}
				for port := int(r.First); port <= int(r.Last); port++ {
					one := schema.PortRange{First: uint16(port), Last: uint16(port)}
					c.Rules = append(c.Rules, p.forward(one, netip.AddrPortFrom(f.To.Addr(), next)))
					next++
				}
			}
		}
	}
	return c
}

// A transport is TCP or UDP.
type transport struct {
	number   uint8
	match    []expr.Any
	port     nft.Field
	timeouts string
}

// transports are those of a forward.
func transports(f schema.Forward) []transport {
	all := []transport{{kernel.ProtoTCP, tcp, nft.TCPDport, tcpTimeouts}, {kernel.ProtoUDP, udp, nft.UDPDport, udpTimeouts}}
	switch f.Protocol {
	case "tcp":
		return all[:1]
	case "udp":
		return all[1:]
	}
	return all
}

func (p transport) forward(r schema.PortRange, to netip.AddrPort) nft.Rule {
	in := nft.Is(p.port, nft.Port(r.First))
	if r.Last > r.First {
		in = nft.In(p.port, nft.Port(r.First), nft.Port(r.Last))
	}
	return nft.NewRule(p.match, in, nft.SetTimeout(p.timeouts), nft.DNAT(to))
}

// hairpin gives a connection from the LAN to a forwarded port the gateway's address as its source: otherwise the service
// would answer its neighbour directly, from an address that the neighbour did not connect to.
func (n natTable) hairpin() nft.Chain {
	return nft.Chain{Name: hairpinChain, Rules: []nft.Rule{
		nft.NewRule(nft.Is(nft.IIfName, n.tun), nft.Accept),
		nft.NewRule(forwarded, nft.Within(nft.CtOriginalDaddr, n.Address), nft.Masquerade),
	}}
}

// restore gives new connections from the line their real port back, after connection tracking (-200) and before other
// tables' destination NAT (-100), which must see it. Where no other table translates one, it still has the shared address
// as its destination, and is dropped in srcnat on its way back into the tunnel, or in input.
func (n natTable) restore() nft.Chain {
	c := nft.Chain{Name: "restore", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPrerouting, Priority: -150}
	c.Rules = []nft.Rule{nft.NewRule(nft.Not(nft.IIfName, n.tun), nft.Accept), nft.NewRule(established, nft.Accept)}
	c.Rules = append(c.Rules, n.ports(nft.TCPDport, nft.UDPDport, toReal, nil)...)
	return c
}
