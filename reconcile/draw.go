package reconcile

import (
	"fmt"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// Names of the timeouts that connections through the tunnel get.
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

// srcnat is the ordinary source NAT of the kernel, to ports that follow each other: the pool. It keeps one port per
// socket and reuses closed connections' ports. It runs before other tables' source NAT (100), whose masquerade would
// otherwise take some address of this machine. Only the first packet of a connection comes here.
//
// With an IPv4 prefix the host part of the address is kept: every LAN host has an address of its own as long as there
// are enough, and always the same.
func (n nat) srcnat() nft.Chain {
	c := nft.Chain{Name: "srcnat", Type: nftables.ChainTypeNAT, Hook: *nftables.ChainHookPostrouting, Priority: 99}
	elsewhere := nft.Accept
	if len(n.forwards) > 0 {
		elsewhere = nft.Goto(hairpin)
	}
	c.Rules = []nft.Rule{
		nft.NewRule(nft.Not(nft.OIfName, n.tun), elsewhere),
		// What came out of the tunnel never goes back into it, as where the host that a port is forwarded to has no
		// route of its own: with the shared address it would pass the guard, and go round until its TTL ends.
		nft.NewRule(nft.Is(nft.IIfName, n.tun), nft.Drop),
	}
	if n.first == 0 {
		return c
	}
	snat := nft.SNAT(n.address, n.first, n.last)
	c.Rules = append(c.Rules,
		nft.NewRule(icmp, snat),
		// A connection meets one of these: of two, some kernels heed the first (6.12) and some the last (6.1).
		nft.NewRule(tcp, nft.SetTimeout(tcpTimeouts)),
		nft.NewRule(udp, nft.Not(nft.UDPDport, nft.Port(53)), nft.SetTimeout(udpTimeouts)),
		nft.NewRule(udp, nft.Is(nft.UDPDport, nft.Port(53)), nft.SetTimeout(dnsTimeouts)))
	if n.parted() {
		c.Rules = append(c.Rules, nft.NewRule(nft.Rate(countRate, countBurst), nft.Jump(counted)))
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
	partSize  = 128
	mostParts = 16 // a pool that would have more is never used up by one destination

	// stay is how long a destination is noted as full: as long as its first packet takes from srcnat to opened, and some.
	stay = 2 * time.Second

	// Connections are counted at this rate, in connections per second, after a burst. A kernel
	// takes few closed ones out of a count in each tick of the clock, eight before that was raised: a host on the LAN that
	// floods somebody could fill the memory.
	countRate, countBurst = 1000, 2000

	full    = "full"
	counted = "counted"
	crowded = "crowded"
	opened  = "opened"
)

// parted says whether the pool is used in parts.
func (n nat) parted() bool {
	return n.first > 0 && n.address.IsSingleIP() && n.size() > partSize && n.size() <= mostParts*partSize
}

// parts are about equally long.
func (n nat) parts() []softwire.PortRange {
	var all []softwire.PortRange
	count := (n.size() + partSize - 1) / partSize
	for i := range count {
		all = append(all, softwire.PortRange{First: n.first + uint16(n.size()*i/count), Last: n.first + uint16(n.size()*(i+1)/count) - 1})
	}
	return all
}

// busy and part name the sets that count connections by destination, and by destination and part. An element keeps the
// limit that it was made with, so another pool has other sets.
func (n nat) busy() string { return fmt.Sprintf("busy-%d-%d", n.first, n.last) }
func (n nat) part() string { return fmt.Sprintf("part-%d-%d", n.first, n.last) }

// most is how many connections a destination has before the pool is used in parts: the kernel's search over all of
// it hardly ever fails before that (TestSearch simulates it).
func (n nat) most() uint32 { return uint32(n.size() * 85 / 100) }

// destination is a key: the far end of a connection.
func (n nat) destination() []nft.Part {
	return []nft.Part{nft.IPDaddr.Value(), nft.L4Proto.Value(), nft.THDport.Value()}
}

func (n nat) counts() []nft.Set {
	destination := []nftables.SetDatatype{nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService}
	return []nft.Set{nft.CountSet(n.busy(), destination...), nft.TimeSet(full, stay, destination...), nft.CountSet(n.part(), append(destination, nftables.TypeInetService)...)}
}

// count counts a connection in a part and matches when there is room for it.
func (n nat) count(p softwire.PortRange) []expr.Any {
	return nft.AtMost(n.part(), uint32(p.Last-p.First)+1, append(n.destination(), nft.Fixed(p.First))...)
}

// counted counts a connection, and leaves a destination that has many to crowded.
func (n nat) counted() nft.Chain {
	c := nft.Chain{Name: counted}
	for _, protocol := range [][]expr.Any{tcp, udp} {
		c.Rules = append(c.Rules,
			nft.NewRule(protocol, nft.Over(n.busy(), n.most(), n.destination()...), nft.Note(full, n.destination()...)),
			nft.NewRule(protocol, nft.Noted(full, n.destination()...), nft.Goto(crowded)))
	}
	return c
}

// crowded draws from a part that has room, each as likely as any other: they fill evenly, and where closed connections
// hold the rest of one, the next SYN will not try the same one again.
func (n nat) crowded() nft.Chain {
	c := nft.Chain{Name: crowded}
	draw := func(p softwire.PortRange, chance []expr.Any) {
		for _, protocol := range [][]expr.Any{tcp, udp} {
			c.Rules = append(c.Rules, nft.NewRule(protocol, chance, n.count(p), nft.SNAT(n.address, p.First, p.Last)))
		}
	}
	parts := n.parts()
	for i, p := range parts[:len(parts)-1] {
		draw(p, nft.OneIn(uint32(len(parts)-i)))
	}
	for i := range parts {
		draw(parts[(i+len(parts)-1)%len(parts)], nil)
	}
	// No part has room, as far as is known.
	for _, protocol := range [][]expr.Any{tcp, udp} {
		c.Rules = append(c.Rules, nft.NewRule(protocol, nft.SNAT(n.address, n.first, n.last)))
	}
	return c
}

// opened counts a connection that was drawn from the whole pool in the part that its port happens to be in. It needs the
// number of the pool, and so comes before the map. A connection is counted once: what crowded has counted is left out
// here, and so are all packets but the first.
func (n nat) opened() nft.Chain {
	c := nft.Chain{Name: opened, Rules: []nft.Rule{
		nft.NewRule(confirmed, nft.Return),
		nft.NewRule(nft.Noted(full, n.destination()...), nft.Return),
		nft.NewRule(nft.RateOver(countRate, countBurst), nft.Return),
	}}
	for _, p := range n.parts() {
		c.Rules = append(c.Rules, nft.NewRule(nft.In(nft.THSport, nft.Port(p.First), nft.Port(p.Last)), n.count(p), nft.Return))
	}
	return c
}
