package main

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"mape-netplan/cmd/mape-netplan/internal/lab"
)

// timesSection has times far enough apart that a slow machine does not take
// one for another.
const timesSection = plainSection + `  conntrack: {tcp-established: 3h, tcp-transitory: 8m, tcp-time-wait: 4m, udp: 6m, dns: 1m}
  forwards:
    - {port: 1776, to: "192.168.1.10:8021"}
`

// times: each time of the section holds for what it is for. The table does not
// show that, only an entry in the kernel does: of two "ct timeout set" that a
// connection meets, Linux 6.1 heeds the last and 6.12 the first.
func (g *guest) times() {
	if err := g.network.Say(8021); err != nil {
		g.Fatal(err)
	}
	g.resolver(serverPort(4, 53))
	g.resolver(serverPort(4, 4500))
	g.change(timesSection, "table ip mape")
	to := serverPort(4, 7)
	open, err := g.dial(to, 10*time.Second)
	if err != nil {
		g.Fatal(err)
	}
	defer open.Close()
	closed, err := g.dial(serverPort(5, 7), 10*time.Second)
	if err != nil {
		g.Fatal(err)
	}
	closed.Close()
	g.answered(g.network.Inet, "", []forwarding{{"tcp", 1776, "lan:8021"}, {"udp", 1776, "lan:8021"}})
	asks := g.sockets(1)[0]
	for range 2 {
		for _, to := range []netip.AddrPort{serverPort(4, 53), serverPort(4, 4500)} {
			if !asked(asks, to) {
				g.Errorf("%s does not answer", to)
			}
		}
		time.Sleep(3 * time.Second) // for the kernel to take what is answered for a stream
	}
	g.sh("echo x >/dev/udp/203.0.113.14/53; echo x >/dev/udp/203.0.113.15/4500")
	g.unanswered(serverPort(3, 7))

	all := g.sh("conntrack -L 2>/dev/null")
	for _, c := range []struct {
		seconds, shorter int
		words            string // of its entry
	}{
		{3 * 60 * 60, 2*60*60 + 4*60, "tcp ESTABLISHED src=192.168.1.10 dst=203.0.113.14 dport=7"},
		{8 * 60, 6 * 60, "tcp SYN_SENT src=192.168.1.10 dst=203.0.113.13 dport=7"},
		{4 * 60, 2 * 60, "tcp TIME_WAIT src=192.168.1.10 dst=203.0.113.15 dport=7"},
		{6 * 60, 5 * 60, "udp src=192.168.1.10 dst=203.0.113.14 dport=4500"},
		{60, 10, "udp src=192.168.1.10 dst=203.0.113.14 dport=53"},
		{60, 10, "udp src=192.168.1.5 dst=203.0.113.14 dport=53"},
		{2 * 60, 60, "udp src=192.168.1.5 dst=203.0.113.15 dport=4500"},
		{4 * 60, 2 * 60, "tcp TIME_WAIT dst=153.241.113.198 src=192.168.1.10 sport=8021"},
		{2 * 60, 60, "udp dst=153.241.113.198 src=192.168.1.10 sport=8021"},
	} {
		// More than the next shorter time of a section or by default: what is left
		// tells one from the other, however long the steps until here have taken.
		if left := remembered(all, c.words); len(left) != 1 || left[0] > c.seconds || left[0] <= c.shorter {
			g.Errorf("%s: %d s left, not one of %d s", c.words, left, c.seconds)
		}
	}
	if g.Failed() {
		g.Log(all)
	}
	g.change(plainSection, "table ip mape")
	g.judged()
}

// remembered is how many seconds each connection whose entry has all these
// words may still be idle.
func remembered(entries, words string) (left []int) {
	for line := range strings.Lines(entries) {
		has := strings.Fields(line)
		if slices.ContainsFunc(strings.Fields(words), func(word string) bool { return !slices.Contains(has, word) }) {
			continue
		}
		seconds, err := strconv.Atoi(has[2])
		if err != nil {
			seconds = -1
		}
		left = append(left, seconds)
	}
	return left
}

// storm: a host that asks a resolver from ever new sockets holds each port for
// the section's time, which is 10 s by default. With the two minutes of other
// UDP, no query would find a port for as long.
func (g *guest) storm() {
	to := serverPort(3, 53)
	g.resolver(to)
	for i := range 2000 {
		c, err := g.network.LAN.ListenUDP(netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(20000+i)))
		if err != nil {
			g.Fatal(err)
		}
		c.WriteToUDPAddrPort([]byte("x"), to)
		c.Close()
		if i%20 == 19 {
			time.Sleep(10 * time.Millisecond) // more at once would be lost before the gateway has it
		}
	}
	held := g.held("udp", to)
	g.Logf("%d ports are held, of the %d that the storm has had", len(held), len(g.network.Relay.Ports("udp", to)))
	if len(held) < setSize/4 {
		g.Error("fewer than a quarter of the set: too few for the test")
	}
	if slices.ContainsFunc(held, func(left int) bool { return left > 10 }) {
		g.Errorf("a port is held for %d s", slices.Max(held))
	}
	// Half of what UDP has, so that it is not that.
	for end := time.Now().Add(time.Minute); len(held) > 0; held = g.held("udp", to) {
		if time.Now().After(end) {
			g.Errorf("%d ports are still held", len(held))
			break
		}
		time.Sleep(time.Second)
	}
	for i, c := range g.sockets(50) {
		if !asked(c, to) {
			g.Errorf("socket %d after the storm gets no answer", i)
		}
	}
	g.judged()
}

// resolver is a server of the internet that answers with what it is asked.
func (g *guest) resolver(address netip.AddrPort) {
	g.Helper()
	c, err := g.network.Inet.ListenUDP(address)
	if err != nil {
		g.Fatal(err)
	}
	g.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 100)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			c.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
}

// asked sends a datagram until it is answered; a few may be lost.
func asked(c *net.UDPConn, to netip.AddrPort) bool {
	for range 5 {
		c.WriteToUDPAddrPort([]byte("x"), to)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, from, err := c.ReadFromUDPAddrPort(make([]byte, 100)); err == nil && from == to {
			return true
		}
	}
	return false
}

// unanswered sends a SYN that nothing answers.
func (g *guest) unanswered(to netip.AddrPort) {
	g.Helper()
	g.network.Relay.SetFault(lab.Fault{Silent: true})
	defer g.network.Relay.SetFault(lab.Fault{})
	if c, err := g.dial(to, 2500*time.Millisecond); err == nil {
		c.Close()
		g.Errorf("%s answers", to)
	}
}
