package nat

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nft"
)

// prerouting runs before connection tracking (-200) and after reassembly (-400) on what arrives from the tunnel. Packets to
// a port outside the set are dropped, so a pool number that comes from the line matches nothing.
func (n natTable) prerouting() nft.Chain {
	c := nft.Chain{Name: "prerouting", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPrerouting, Priority: -350}
	elsewhere := nft.NewRule(nft.Not(nft.IIfName, n.tun), nft.Accept)
	data := n.data(nft.Within(nft.IPDaddr, n.Address), nft.TCPDport, toPool)
	c.Rules = append(c.Rules, nft.NewRule(nft.Not(nft.IIfType, tunnelType), nft.Accept))
	if n.accepts() {
		// Another tunnel may carry packets to ports of the shared address as well, for destination NAT in another table.
		c.Rules = append(c.Rules, elsewhere, data)
	} else {
		c.Rules = append(c.Rules, data, elsewhere)
	}
	c.Rules = append(c.Rules, nft.NewRule(nft.Outside(nft.IPDaddr, n.Address), nft.Drop))
	c.Rules = append(c.Rules, n.ports(nft.TCPDport, nft.UDPDport, toPool, nil)...)
	c.Rules = append(c.Rules, nft.NewRule(icmpType(echoReply), n.match(nft.ICMPID, toPool), nft.Accept))
	// Connection tracking knows the errors that quote a packet of a connection; it calls the others invalid.
	c.Rules = append(c.Rules, n.errors(errorInChain, nil)...)
	c.Rules = append(c.Rules, nft.NewRule(nft.Drop))
	return c
}

// postrouting runs after source NAT (100) on what leaves through the tunnel, this machine's own packets included. Only
// packets with the shared address and a port of the set pass, whichever way they were translated. Packets that another
// table's NAT translated first have the wrong source, and so have packets without a connection (invalid, untracked), unless
// a LAN host forged the shared address.
func (n natTable) postrouting() nft.Chain {
	c := nft.Chain{Name: "postrouting", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPostrouting, Priority: 300}
	c.Rules = append(c.Rules,
		nft.NewRule(nft.Not(nft.OIfType, tunnelType), nft.Accept),
		// A packet to the shared address came out of the tunnel and would loop: it is dropped below.
		n.data(append(nft.Within(nft.IPSaddr, n.Address), nft.Outside(nft.IPDaddr, n.Address)...), nft.TCPSport, toReal),
		nft.NewRule(nft.Not(nft.OIfName, n.tun), nft.Accept),
		nft.NewRule(nft.Outside(nft.IPSaddr, n.Address), nft.Drop),
		nft.NewRule(untracked, nft.Drop))
	var first []expr.Any
	if n.parted() {
		first = nft.Jump(countPartChain)
	}
	c.Rules = append(c.Rules, n.ports(nft.TCPSport, nft.UDPSport, toReal, first)...)
	c.Rules = append(c.Rules, nft.NewRule(icmpType(echoRequest), n.match(nft.ICMPID, toReal), nft.Accept))
	c.Rules = append(c.Rules, n.errors(errorOutChain, related)...)
	c.Rules = append(c.Rules, nft.NewRule(nft.Drop))
	return c
}

// data accepts TCP's data, which is most of the traffic, in the first rule that a packet of the tunnel meets. The shared
// address on a link of the tunnel's type is enough of a match: no machine has two tunnels with one address. The state of
// the connection is not tested, unlike that of a SYN: data with the shared address here was translated, or was forged on
// the LAN, which gains no more than forging a neighbour's address.
func (n natTable) data(shared []expr.Any, port nft.Field, by string) nft.Rule {
	return nft.NewRule(shared, nft.Is(nft.IPProtocol, []byte{kernel.ProtoTCP}), nft.HasNone(nft.TCPFlags, synFlag), n.match(port, by), nft.Accept)
}

// ports accepts TCP and UDP of the set, mapped. A SYN's segment size is lowered to what the tunnel carries. The first packet
// of a connection runs through first, if that is given.
func (n natTable) ports(tcpPort, udpPort nft.Field, by string, first []expr.Any) []nft.Rule {
	var size []expr.Any
	if n.Tunnel.MTU > 40 {
		size = nft.MaxSegmentSize(uint16(min(n.Tunnel.MTU, 65535) - 40))
	}
	var rules []nft.Rule
	if first != nil || size != nil {
		rules = append(rules, nft.NewRule(tcp, size, first))
	}
	rules = append(rules, nft.NewRule(tcp, n.match(tcpPort, by), nft.Accept))
	if first != nil {
		rules = append(rules, nft.NewRule(udp, nft.HasNone(nft.CtStatus, confirmedBit), first))
	}
	if !n.permuted() {
		return append(rules, nft.NewRule(udp, n.match(udpPort, by), nft.Accept))
	}
	// A UDP checksum of 0 means that there is none (RFC 768). It must stay 0: an update would make a wrong one of it.
	return append(rules,
		nft.NewRule(udp, nft.Not(nft.UDPChecksum, nft.Port(0)), n.match(udpPort, by), nft.Accept),
		nft.NewRule(udp, n.match(udpPort.NoChecksum(), by), nft.Accept))
}

// match matches a port of the set, and maps it where the pool is permuted.
func (n natTable) match(f nft.Field, by string) []expr.Any {
	if n.permuted() {
		return nft.Map(f, by)
	}
	return nft.In(f, nft.Port(n.set.First), nft.Port(n.set.Last))
}

// errors accepts ICMP errors. Where the pool is permuted, the chain maps the port in the packet that they quote.
func (n natTable) errors(chain string, state []expr.Any) (rules []nft.Rule) {
	verdict := nft.Accept
	if n.permuted() {
		verdict = nft.Goto(chain)
	}
	for _, e := range icmpErrors {
		rules = append(rules, nft.NewRule(icmpType(e), state, verdict))
	}
	return rules
}

// errorIn maps the port in the packet that an ICMP error from the internet quotes, which is one that left here, so that
// connection tracking recognises it.
func (n natTable) errorIn() nft.Chain { return quoted(errorInChain, 28, toPool) }

// errorOut maps the port in the packet that an ICMP error from here quotes, which is one that arrived.
func (n natTable) errorOut() nft.Chain { return quoted(errorOutChain, 30, toReal) }

// quoted maps the quoted TCP or UDP port at an offset from the ICMP header, or the echo identifier. The offsets hold behind
// an IPv4 header without options; an error that quotes options is dropped.
func quoted(name string, port uint32, by string) nft.Chain {
	const checksum = 2
	header, protocol := nft.Raw(8, 1, checksum), nft.Raw(17, 1, checksum)
	return nft.Chain{Name: name, Rules: []nft.Rule{
		nft.NewRule(nft.Not(header, []byte{0x45}), nft.Drop),
		nft.NewRule(nft.Is(protocol, []byte{kernel.ProtoTCP}), nft.Map(nft.Raw(port, 2, checksum), by), nft.Accept),
		nft.NewRule(nft.Is(protocol, []byte{kernel.ProtoUDP}), nft.Map(nft.Raw(port, 2, checksum), by), nft.Accept),
		nft.NewRule(nft.Is(protocol, []byte{kernel.ProtoICMP}), nft.Map(nft.Raw(32, 2, checksum), by), nft.Accept),
		nft.NewRule(nft.Drop),
	}}
}

// input accepts packets of connections from the tunnel to this machine, and the first packet of one that was forwarded to
// it. The gateway's own services are not reachable otherwise.
//
// Forwarded packets need no such chain, which every packet would pay for. A packet with a new connection is dropped in
// dstnat. One without a connection, invalid or untracked, is not translated: from the line it still has the shared address
// as its destination, which is routed back into the tunnel, and like one from the LAN it is dropped in postrouting by its
// source.
func (n natTable) input() nft.Chain {
	c := nft.Chain{Name: "input", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookInput}
	c.Rules = []nft.Rule{nft.NewRule(nft.Not(nft.IIfName, n.tun), nft.Accept), nft.NewRule(established, nft.Accept)}
	if len(n.Forwards) > 0 || n.accepts() {
		c.Rules = append(c.Rules, nft.NewRule(forwarded, nft.Accept))
	}
	c.Rules = append(c.Rules, nft.NewRule(nft.Drop))
	return c
}
