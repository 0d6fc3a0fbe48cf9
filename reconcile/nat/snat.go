package nat

import (
	"fmt"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// Conntrack timeouts that connections through the tunnel get.
const (
	tcpTimeouts = "tcp-timeouts"
	udpTimeouts = "udp-timeouts"
	dnsTimeouts = "dns-timeouts"
)

func timeouts(c schema.Conntrack) []nft.Timeout {
	return []nft.Timeout{
		nft.TCPTimeout(tcpTimeouts, c.TCPEstablished, c.TCPTransitory, c.TCPTimeWait),
		// RFC 4787, REQ-5: two minutes at least, even for what was never answered.
		nft.UDPTimeout(udpTimeouts, 2*time.Minute, c.UDP),
		nft.UDPTimeout(dnsTimeouts, c.DNS, c.DNS),
	}
}

// srcnat is the kernel's ordinary source NAT to consecutive ports, the pool. It keeps one port per socket and reuses the
// ports of closed connections. It runs before other tables' source NAT (100), whose masquerade would otherwise translate
// to another address of this machine. Only the first packet of a connection meets it.
//
// With an IPv4 prefix the host part of the address is kept: every LAN host has an address of its own as long as there
// are enough, and always the same.
func (n natTable) srcnat() nft.Chain {
	c := nft.Chain{Name: "srcnat", Type: nftables.ChainTypeNAT, Hook: *nftables.ChainHookPostrouting, Priority: 99}
	elsewhere := nft.Accept
	if len(n.Forwards) > 0 {
		elsewhere = nft.Goto(hairpinChain)
	}
	c.Rules = []nft.Rule{
		nft.NewRule(nft.Not(nft.OIfName, n.tun), elsewhere),
		// What came out of the tunnel never goes back into it. Where the target of a forward is routed into the tunnel,
		// its packets would pass the filter with the shared address, and loop until their TTL ends.
		nft.NewRule(nft.Is(nft.IIfName, n.tun), nft.Drop),
		// What has no route of its own follows the default route, but no host on the internet has such an address.
		nft.NewRule(nft.InSet(specialSet, nft.IPDaddr.Value()), nft.Drop),
	}
	if n.First == 0 {
		return c
	}
	snat := nft.SNAT(n.Address, n.First, n.Last)
	c.Rules = append(c.Rules,
		nft.NewRule(icmp, snat),
		// A connection matches only one of these: of two, some kernels use the first (6.12) and some the last (6.1).
		nft.NewRule(tcp, nft.SetTimeout(tcpTimeouts)),
		nft.NewRule(udp, nft.Not(nft.UDPDport, nft.Port(53)), nft.SetTimeout(udpTimeouts)),
		nft.NewRule(udp, nft.Is(nft.UDPDport, nft.Port(53)), nft.SetTimeout(dnsTimeouts)))
	if n.parted() {
		c.Rules = append(c.Rules, nft.NewRule(nft.Rate(countRate, countBurst), nft.Jump(countChain)))
	}
	c.Rules = append(c.Rules, nft.NewRule(tcp, snat), nft.NewRule(udp, snat))
	return c
}

// The kernel looks for a free number among 128 in a row from a random one, then among 64, 32, 16 and 8 from others: of a
// larger pool it never sees all, and gives up when a destination has about 95 % of it, in bad luck 84 %. Of 128 or fewer
// it sees each. So towards a destination that has most of the pool, the pool is used in parts of that size, of which one
// with room is known from counts.
//
// Counts are of living connections: the port of a closed one cannot be had until it is forgotten, though recent kernels
// (6.5) take it when the new connection's sequence number is ahead. The search over the whole pool finds such ports
// better, which is why it comes first.
const (
	partSize = 128
	maxParts = 16 // a pool that would have more is never used up by one destination

	// fullTime is how long a destination is remembered as full. Its first packet takes less from srcnat to postrouting.
	fullTime = 2 * time.Second

	// Connections are counted at this rate, in connections per second, after a burst. In each tick of the clock a kernel
	// removes few closed connections from a count (eight, before that was raised): counted without a limit, a host on
	// the LAN that floods a destination could fill the memory.
	countRate, countBurst = 1000, 2000

	// The names stay as the first version had them: an upgrade finds its table unchanged.
	fullSet        = "full"    // destinations that have most of the pool
	countChain     = "counted" // counts a connection by destination, before its port is drawn
	partsChain     = "crowded" // draws from a part
	countPartChain = "opened"  // counts a connection by part, after its port was drawn from the whole pool
)

// parted reports whether the pool is used in parts.
func (n natTable) parted() bool {
	return n.First > 0 && n.Address.IsSingleIP() && n.Size() > partSize && n.Size() <= maxParts*partSize
}

// parts divides the pool into parts of about the same length.
func (n natTable) parts() []softwire.PortRange {
	var all []softwire.PortRange
	count := (n.Size() + partSize - 1) / partSize
	for i := range count {
		all = append(all, softwire.PortRange{First: n.First + uint16(n.Size()*i/count), Last: n.First + uint16(n.Size()*(i+1)/count) - 1})
	}
	return all
}

// busySet and partSet name the sets that count connections by destination, and by destination and part. An element keeps
// the limit that it was created with, so another pool has other sets.
func (n natTable) busySet() string { return fmt.Sprintf("busy-%d-%d", n.First, n.Last) }

func (n natTable) partSet() string { return fmt.Sprintf("part-%d-%d", n.First, n.Last) }

// most is how many connections a destination has before the pool is used in parts: with fewer, the kernel's search over all
// of it hardly ever fails (TestSearch simulates it).
func (n natTable) most() uint32 { return uint32(n.Size() * 85 / 100) }

// destination is the key of the counts: the far end of a connection.
func (n natTable) destination() []nft.Part {
	return []nft.Part{nft.IPDaddr.Value(), nft.L4Proto.Value(), nft.THDport.Value()}
}

func (n natTable) countSets() []nft.Set {
	destination := []nftables.SetDatatype{nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService}
	return []nft.Set{
		nft.CountSet(n.busySet(), destination...), nft.TimeSet(fullSet, fullTime, destination...),
		nft.CountSet(n.partSet(), append(destination, nftables.TypeInetService)...),
	}
}

// countPart counts a connection in a part and matches when there is room for it.
func (n natTable) countPart(p softwire.PortRange) []expr.Any {
	return nft.AtMost(n.partSet(), uint32(p.Last-p.First)+1, append(n.destination(), nft.Fixed(p.First))...)
}

// counting counts a connection by its destination. Of one that has most of the pool, drawing goes on in parts.
func (n natTable) counting() nft.Chain {
	c := nft.Chain{Name: countChain}
	for _, protocol := range [][]expr.Any{tcp, udp} {
		c.Rules = append(c.Rules,
			nft.NewRule(protocol, nft.Over(n.busySet(), n.most(), n.destination()...), nft.Put(fullSet, n.destination()...)),
			nft.NewRule(protocol, nft.InSet(fullSet, n.destination()...), nft.Goto(partsChain)))
	}
	return c
}

// drawing draws from a part that has room, each as likely as any other: they fill evenly, and where closed connections
// hold the rest of one, the next SYN will not try the same one again.
func (n natTable) drawing() nft.Chain {
	c := nft.Chain{Name: partsChain}
	draw := func(p softwire.PortRange, chance []expr.Any) {
		for _, protocol := range [][]expr.Any{tcp, udp} {
			c.Rules = append(c.Rules, nft.NewRule(protocol, chance, n.countPart(p), nft.SNAT(n.Address, p.First, p.Last)))
		}
	}
	parts := n.parts()
	for i, p := range parts[:len(parts)-1] {
		draw(p, nft.OneIn(uint32(len(parts)-i)))
	}
	for i := range parts {
		draw(parts[(i+len(parts)-1)%len(parts)], nil)
	}
	// By the counts every part is full. Connections that closed since may have left room.
	for _, protocol := range [][]expr.Any{tcp, udp} {
		c.Rules = append(c.Rules, nft.NewRule(protocol, nft.SNAT(n.Address, n.First, n.Last)))
	}
	return c
}

// countingPart counts a connection whose port was drawn from the whole pool in the part that the port is in. It needs the
// number of the pool, so it runs before the map to real ports. A connection is counted once: those that drawing has counted
// are left out, and all packets but the first.
func (n natTable) countingPart() nft.Chain {
	c := nft.Chain{Name: countPartChain, Rules: []nft.Rule{
		nft.NewRule(confirmed, nft.Return),
		nft.NewRule(nft.InSet(fullSet, n.destination()...), nft.Return),
		nft.NewRule(nft.RateOver(countRate, countBurst), nft.Return),
	}}
	for _, p := range n.parts() {
		c.Rules = append(c.Rules, nft.NewRule(nft.In(nft.THSport, nft.Port(p.First), nft.Port(p.Last)), n.countPart(p), nft.Return))
	}
	return c
}
