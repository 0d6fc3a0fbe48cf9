package nat

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"mape-netplan/reconcile/nft"
)

// prerouting meets what arrives from the tunnel before connection tracking (-200) does, but whole: fragments were put
// together at -400. What is not for a port of the set ends here, so a pool number coming from the line matches nothing.
func (n Nat) prerouting() nft.Chain {
	c := nft.Chain{Name: "prerouting", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPrerouting, Priority: -350}
	mine := nft.NewRule(nft.Not(nft.IIfName, n.tun), nft.Accept)
	data := n.data(nft.Within(nft.IPDaddr, n.address), nft.TCPDport, toPool)
	c.Rules = append(c.Rules, nft.NewRule(nft.Not(nft.IIfType, tunnelType), nft.Accept))
	if n.accept {
		// Another tunnel may lead to ports of the shared address as well, by destination NAT in somebody's table.
		c.Rules = append(c.Rules, mine, data)
	} else {
		c.Rules = append(c.Rules, data, mine)
	}
	c.Rules = append(c.Rules, nft.NewRule(nft.Outside(nft.IPDaddr, n.address), nft.Drop))
	c.Rules = append(c.Rules, n.ports(nft.TCPDport, nft.UDPDport, toPool, nil)...)
	c.Rules = append(c.Rules, nft.NewRule(icmpType(EchoReply), n.match(nft.ICMPID, toPool), nft.Accept))
	for _, e := range icmpErrors {
		// Connection tracking knows the errors that quote a packet of a connection; it calls the others invalid.
		verdict := nft.Accept
		if n.Permuted() {
			verdict = nft.Goto(errorIn)
		}
		c.Rules = append(c.Rules, nft.NewRule(icmpType(e), verdict))
	}
	c.Rules = append(c.Rules, nft.NewRule(nft.Drop))
	return c
}

// postrouting meets what leaves through the tunnel after source NAT (100), our own packets included. Only what carries
// the shared address and a port of the set passes, translated by whatever path it came: those that another table's NAT
// took first have the wrong source, and so have packets without a connection (invalid, untracked), unless somebody on
// the LAN forged it.
func (n Nat) postrouting() nft.Chain {
	c := nft.Chain{Name: "postrouting", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPostrouting, Priority: 300}
	c.Rules = append(c.Rules,
		nft.NewRule(nft.Not(nft.OIfType, tunnelType), nft.Accept),
		// What is for the shared address came out of the tunnel, and would go round: it ends below.
		n.data(append(nft.Within(nft.IPSaddr, n.address), nft.Outside(nft.IPDaddr, n.address)...), nft.TCPSport, toReal),
		nft.NewRule(nft.Not(nft.OIfName, n.tun), nft.Accept),
		nft.NewRule(nft.Outside(nft.IPSaddr, n.address), nft.Drop),
		nft.NewRule(stray, nft.Drop))
	var first []expr.Any
	if n.parted() {
		first = nft.Jump(opened)
	}
	c.Rules = append(c.Rules, n.ports(nft.TCPSport, nft.UDPSport, toReal, first)...)
	c.Rules = append(c.Rules, nft.NewRule(icmpType(EchoRequest), n.match(nft.ICMPID, toReal), nft.Accept))
	for _, e := range icmpErrors {
		verdict := nft.Accept
		if n.Permuted() {
			verdict = nft.Goto(errorOut)
		}
		c.Rules = append(c.Rules, nft.NewRule(icmpType(e), related, verdict))
	}
	c.Rules = append(c.Rules, nft.NewRule(nft.Drop))
	return c
}

// data lets TCP's data through, which is most of what there is: the first rule that a packet of the tunnel meets. The
// shared address on a link of the tunnel's type says enough: nobody has two tunnels with one address. Nor is it asked
// whether a connection is known, as of what opens one: what has the shared address here was translated, or was forged on
// the LAN, which is no more than forging a neighbour's.
func (n Nat) data(shared []expr.Any, port nft.Field, by string) nft.Rule {
	return nft.NewRule(shared, nft.Is(nft.IPProtocol, []byte{6}), nft.HasNone(nft.TCPFlags, synFlag), n.match(port, by), nft.Accept)
}

// ports lets TCP and UDP of the set through. A SYN's segment size is lowered to what the tunnel carries. What opens a
// connection passes through first, if that is given.
func (n Nat) ports(tcpPort, udpPort nft.Field, by string, first []expr.Any) []nft.Rule {
	var size []expr.Any
	if n.mtu > 40 {
		size = nft.MaxSegmentSize(uint16(min(n.mtu, 65535) - 40))
	}
	var rules []nft.Rule
	if first != nil || size != nil {
		rules = append(rules, nft.NewRule(tcp, size, first))
	}
	rules = append(rules, nft.NewRule(tcp, n.match(tcpPort, by), nft.Accept))
	if first != nil {
		rules = append(rules, nft.NewRule(udp, nft.HasNone(nft.CtStatus, confirmedBit), first))
	}
	if !n.Permuted() {
		return append(rules, nft.NewRule(udp, n.match(udpPort, by), nft.Accept))
	}
	// A UDP checksum of 0 says that there is none, and must stay 0: an update would make it a wrong one.
	return append(rules,
		nft.NewRule(udp, nft.Not(nft.UDPChecksum, nft.Port(0)), n.match(udpPort, by), nft.Accept),
		nft.NewRule(udp, n.match(udpPort.NoChecksum(), by), nft.Accept))
}

// match matches a port of the set, and maps it where it is to be mapped.
func (n Nat) match(f nft.Field, by string) []expr.Any {
	if n.Permuted() {
		return nft.Map(f, by)
	}
	return nft.In(f, nft.Port(n.Set.First), nft.Port(n.Set.Last))
}

// input lets in what belongs to a connection, and the first packet of one that was forwarded to the gateway itself. Its
// own services have no other way to be reached.
//
// There is no such chain for what is forwarded, because every packet would pay for it. A packet with a new connection
// ends in dstnat, and one without any, invalid or untracked, is not translated: coming from the line it is still for the
// shared address, which leads back into the tunnel, and like one from the LAN it ends in postrouting by its source.
func (n Nat) input() nft.Chain {
	c := nft.Chain{Name: "input", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookInput}
	c.Rules = []nft.Rule{nft.NewRule(nft.Not(nft.IIfName, n.tun), nft.Accept), nft.NewRule(known, nft.Accept)}
	if len(n.forwards) > 0 || n.accept {
		c.Rules = append(c.Rules, nft.NewRule(translated, nft.Accept))
	}
	c.Rules = append(c.Rules, nft.NewRule(nft.Drop))
	return c
}

// errorIn maps the port in the packet that an ICMP error from the internet quotes, which is one we sent, so that
// connection tracking recognises it.
func (n Nat) errorIn() nft.Chain { return quoted(errorIn, 28, toPool) }

// errorOut maps the port in the packet that an ICMP error of ours quotes, which is one we got.
func (n Nat) errorOut() nft.Chain { return quoted(errorOut, 30, toReal) }

// quoted maps the quoted TCP or UDP port at the offset from the ICMP header, or the echo identifier. These places are
// right behind an IPv4 header without options, which is what anybody sends.
func quoted(name string, port uint32, by string) nft.Chain {
	const checksum = 2
	header, protocol := nft.Raw(8, 1, checksum), nft.Raw(17, 1, checksum)
	return nft.Chain{Name: name, Rules: []nft.Rule{
		nft.NewRule(nft.Not(header, []byte{0x45}), nft.Drop),
		nft.NewRule(nft.Is(protocol, []byte{6}), nft.Map(nft.Raw(port, 2, checksum), by), nft.Accept),
		nft.NewRule(nft.Is(protocol, []byte{17}), nft.Map(nft.Raw(port, 2, checksum), by), nft.Accept),
		nft.NewRule(nft.Is(protocol, []byte{1}), nft.Map(nft.Raw(32, 2, checksum), by), nft.Accept),
		nft.NewRule(nft.Drop),
	}}
}
