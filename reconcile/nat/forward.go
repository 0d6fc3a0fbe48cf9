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
// Nothing comes from an address that no host on the internet has: an answer would not reach the sender.
//
// From the LAN the shared address and a forwarded port reach the same service.
func (n natTable) dstnat() nft.Chain {
	c := nft.Chain{Name: "dstnat", Type: nftables.ChainTypeNAT, Hook: *nftables.ChainHookPrerouting, Priority: -101}
	c.Rules = append(c.Rules, nft.NewRule(nft.Is(nft.IIfName, n.tun), nft.InSet(specialSet, nft.IPSaddr.Value()), nft.Drop))
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

// forwarding looks up where a port is forwarded to, in two maps for each protocol: of ranges that keep their numbers, and of
// ports that get another. However many there are, a packet meets four rules.
func (n natTable) forwarding() (c nft.Chain, maps []nft.Set) {
	c.Name = forwardsChain
	for _, p := range transports {
		var kept, moved []nft.Element
		for _, f := range n.Forwards {
			if !p.carries(f) {
				continue
			}
			next := f.To.Port()
			for _, r := range f.Ports {
				if next == 0 {
					kept = append(kept, nft.ToHost(r.First, r.Last, f.To.Addr()))
					continue
				}
				for port := int(r.First); port <= int(r.Last); port++ {
					moved = append(moved, nft.ToEndpoint(uint16(port), netip.AddrPortFrom(f.To.Addr(), next)))
					next++
				}
			}
		}
		for _, m := range []nft.Set{nft.HostMap(p.kept(), kept...), nft.EndpointMap(p.moved(), moved...)} {
			if len(m.Elements) > 0 {
				maps = append(maps, m)
				c.Rules = append(c.Rules, nft.NewRule(p.match, nft.Lookup(p.port, m.Name), nft.SetTimeout(p.timeouts), nft.DNATThere(!m.Ranges)))
			}
		}
	}
	return c, maps
}

// A transport is TCP or UDP.
type transport struct {
	number   uint8
	name     string
	match    []expr.Any
	port     nft.Field
	timeouts string
}

var transports = []transport{
	{kernel.ProtoTCP, "tcp", tcp, nft.TCPDport, tcpTimeouts},
	{kernel.ProtoUDP, "udp", udp, nft.UDPDport, udpTimeouts},
}

// carries reports whether a forward is of this protocol; it may be of both.
func (p transport) carries(f schema.Forward) bool {
	return f.Protocol == p.name || f.Protocol != "tcp" && f.Protocol != "udp"
}

func (p transport) kept() string  { return "kept-" + p.name }
func (p transport) moved() string { return "moved-" + p.name }

// forwardMaps are the names of the maps that have the forwards.
func forwardMaps() (names []string) {
	for _, p := range transports {
		names = append(names, p.kept(), p.moved())
	}
	return names
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
