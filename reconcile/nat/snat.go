package nat

import (
	"github.com/google/nftables"

	"mape-netplan/reconcile/nft"
)

// srcnat is the ordinary source NAT of the kernel, to ports that follow each other: the pool. It keeps one port per
// socket and reuses closed connections' ports. It runs before other tables' source NAT (100), whose masquerade would
// otherwise take some address of this machine. Only the first packet of a connection comes here.
//
// With an IPv4 prefix the host part of the address is kept: every LAN host has an address of its own as long as there
// are enough, and always the same.
func (n Nat) srcnat() nft.Chain {
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
	if n.First == 0 {
		return c
	}
	snat := nft.SNAT(n.address, n.First, n.Last)
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
