package nat

import (
	"fmt"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/softwire"
)

// The kernel looks for a free number among 128 in a row from a random one, then among 64, 32, 16 and 8 from others: of a
// larger pool it never sees all, and gives up when a destination has about 95 % of it, in bad luck 84 %. Of 128 or fewer
// it sees each. So towards a destination that has most of the pool, the pool is used in parts of that size, of which one
// with room is known from counts.
//
// Counts are of living connections: the port of a closed one cannot be had until it is forgotten, though recent kernels
// (6.5) take it when the new connection's sequence number is ahead. The search over the whole pool finds such ports
// better, which is why it comes first.
const (
	PartSize  = 128
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
func (n Nat) parted() bool {
	return n.First > 0 && n.address.IsSingleIP() && n.Size() > PartSize && n.Size() <= mostParts*PartSize
}

// parts are about equally long.
func (n Nat) parts() []softwire.PortRange {
	var all []softwire.PortRange
	count := (n.Size() + PartSize - 1) / PartSize
	for i := range count {
		all = append(all, softwire.PortRange{First: n.First + uint16(n.Size()*i/count), Last: n.First + uint16(n.Size()*(i+1)/count) - 1})
	}
	return all
}

// busy and part name the sets that count connections by destination, and by destination and part. An element keeps the
// limit that it was made with, so another pool has other sets.
func (n Nat) busy() string { return fmt.Sprintf("busy-%d-%d", n.First, n.Last) }

func (n Nat) part() string { return fmt.Sprintf("part-%d-%d", n.First, n.Last) }

// Most is how many connections a destination has before the pool is used in parts: the kernel's search over all of
// it hardly ever fails before that (TestSearch simulates it).
func (n Nat) Most() uint32 { return uint32(n.Size() * 85 / 100) }

// destination is a key: the far end of a connection.
func (n Nat) destination() []nft.Part {
	return []nft.Part{nft.IPDaddr.Value(), nft.L4Proto.Value(), nft.THDport.Value()}
}

func (n Nat) counts() []nft.Set {
	destination := []nftables.SetDatatype{nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService}
	return []nft.Set{nft.CountSet(n.busy(), destination...), nft.TimeSet(full, stay, destination...), nft.CountSet(n.part(), append(destination, nftables.TypeInetService)...)}
}

// count counts a connection in a part and matches when there is room for it.
func (n Nat) count(p softwire.PortRange) []expr.Any {
	return nft.AtMost(n.part(), uint32(p.Last-p.First)+1, append(n.destination(), nft.Fixed(p.First))...)
}

// counted counts a connection, and leaves a destination that has many to crowded.
func (n Nat) counted() nft.Chain {
	c := nft.Chain{Name: counted}
	for _, protocol := range [][]expr.Any{tcp, udp} {
		c.Rules = append(c.Rules,
			nft.NewRule(protocol, nft.Over(n.busy(), n.Most(), n.destination()...), nft.Note(full, n.destination()...)),
			nft.NewRule(protocol, nft.Noted(full, n.destination()...), nft.Goto(crowded)))
	}
	return c
}

// crowded draws from a part that has room, each as likely as any other: they fill evenly, and where closed connections
// hold the rest of one, the next SYN will not try the same one again.
func (n Nat) crowded() nft.Chain {
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
		c.Rules = append(c.Rules, nft.NewRule(protocol, nft.SNAT(n.address, n.First, n.Last)))
	}
	return c
}

// opened counts a connection that was drawn from the whole pool in the part that its port happens to be in. It needs the
// number of the pool, and so comes before the map. A connection is counted once: what crowded has counted is left out
// here, and so are all packets but the first.
func (n Nat) opened() nft.Chain {
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
