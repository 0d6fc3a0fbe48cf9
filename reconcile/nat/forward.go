package nat

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nft"
	"mape-netplan/schema"
)

// dstnat forwards what the section says and ends all else that nobody here began. Only the first packet of a connection
// comes to a chain of this type, so that the packets of all others do not pay. It runs before other tables' destination
// NAT (-100), and because it is before routing, no redirect, time exceeded or unreachable can come of such a packet.
//
// From the LAN the shared address and a forwarded port lead to the same service.
func (n Nat) dstnat() nft.Chain {
	c := nft.Chain{Name: "dstnat", Type: nftables.ChainTypeNAT, Hook: *nftables.ChainHookPrerouting, Priority: -101}
	if len(n.forwards) > 0 {
		c.Rules = append(c.Rules, nft.NewRule(nft.Within(nft.IPDaddr, n.address), nft.Jump(forwards)))
	}
	if !n.accept {
		c.Rules = append(c.Rules, nft.NewRule(nft.Is(nft.IIfName, n.tun), nft.Drop))
	}
	// A protocol without ports cannot be shared. It never leaves, and here the sender can still be told. Multicast and
	// broadcast have a route into the tunnel as well, and are for the gateway.
	c.Rules = append(c.Rules, nft.NewRule(nft.Not(nft.L4Proto, []byte{6}), nft.Not(nft.L4Proto, []byte{17}), nft.Not(nft.L4Proto, []byte{1}),
		nft.Outside(nft.IPDaddr, netip.MustParsePrefix("224.0.0.0/3")), nft.Is(nft.RouteOIfName, n.tun), nft.RejectProtocol))
	return c
}

// output is dstnat for what the gateway itself sends.
func (n Nat) output() nft.Chain {
	return nft.Chain{
		Name: "output", Type: nftables.ChainTypeNAT, Hook: *nftables.ChainHookOutput, Priority: -101,
		Rules: []nft.Rule{nft.NewRule(nft.Within(nft.IPDaddr, n.address), nft.Jump(forwards))},
	}
}

// forwarding has one rule for each range of ports that keep their numbers, and one for each port that gets another.
func (n Nat) forwarding() nft.Chain {
	c := nft.Chain{Name: forwards}
	for _, f := range n.forwards {
		for _, p := range protocols(f) {
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

// A forwarded protocol is TCP or UDP.
type forwarded struct {
	number   uint8
	match    []expr.Any
	port     nft.Field
	timeouts string
}

func protocols(f schema.Forward) []forwarded {
	all := []forwarded{{kernel.ProtoTCP, tcp, nft.TCPDport, tcpTimeouts}, {kernel.ProtoUDP, udp, nft.UDPDport, udpTimeouts}}
	switch f.Protocol {
	case "tcp":
		return all[:1]
	case "udp":
		return all[1:]
	}
	return all
}

func (p forwarded) forward(r schema.PortRange, to netip.AddrPort) nft.Rule {
	in := nft.Is(p.port, nft.Port(r.First))
	if r.Last > r.First {
		in = nft.In(p.port, nft.Port(r.First), nft.Port(r.Last))
	}
	return nft.NewRule(p.match, in, nft.SetTimeout(p.timeouts), nft.DNAT(to))
}

// hairpin gives a connection from the LAN to a forwarded port the gateway's address as its source: the service would
// answer a neighbour directly, from an address that it never asked.
func (n Nat) hairpin() nft.Chain {
	return nft.Chain{Name: hairpin, Rules: []nft.Rule{
		nft.NewRule(nft.Is(nft.IIfName, n.tun), nft.Accept),
		nft.NewRule(translated, nft.Within(nft.CtOriginalDaddr, n.address), nft.Masquerade),
	}}
}

// restore gives new connections from the line their real port back, behind connection tracking (-200) and before other
// tables' destination NAT (-100), which shall see it. What none of them translates is still for the shared address, and
// ends in srcnat on its way back into the tunnel, or in input.
func (n Nat) restore() nft.Chain {
	c := nft.Chain{Name: "restore", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPrerouting, Priority: -150}
	c.Rules = []nft.Rule{nft.NewRule(nft.Not(nft.IIfName, n.tun), nft.Accept), nft.NewRule(known, nft.Accept)}
	c.Rules = append(c.Rules, n.ports(nft.TCPDport, nft.UDPDport, toReal, nil)...)
	return c
}
