package nat

import (
	"time"

	"mape-netplan/reconcile/nft"
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
