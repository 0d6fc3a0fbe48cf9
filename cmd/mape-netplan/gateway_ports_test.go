package main

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"mape-netplan/cmd/mape-netplan/internal/lab"
	"mape-netplan/reconcile/ports"
)

// setSize is how many ports the line of the test has.
const setSize = 1008

func serverPort(i int, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(lab.Servers[i]), port)
}

// sockets are UDP sockets of the LAN host.
func (g *guest) sockets(n int) (all []*net.UDPConn) {
	g.Helper()
	for range n {
		c, err := g.network.LAN.ListenUDP(netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
		if err != nil {
			g.Fatal(err)
		}
		g.Cleanup(func() { c.Close() })
		all = append(all, c)
	}
	return all
}

// mapping: a socket has one external port, whatever it talks to.
func (g *guest) mapping() {
	const count = 100
	all := g.sockets(count)
	seen := make([][]netip.AddrPort, count) // by socket and server
	var wait sync.WaitGroup
	for i, c := range all {
		wait.Go(func() { seen[i] = g.ask(c) })
	}
	wait.Wait()
	good, ports := 0, []uint16{}
	for i := range all {
		if len(seen[i]) == 0 || seen[i][0].Addr() != shared {
			g.Errorf("socket %d is seen as %v", i, seen[i])
			continue
		}
		if ports = append(ports, seen[i][0].Port()); len(slices.Compact(seen[i])) == 1 {
			good++
		}
	}
	slices.Sort(ports)
	g.Logf("%d of %d sockets have one port towards %d servers", good, count, len(lab.Servers))
	if good != count {
		g.Error("that is not all of them")
	}
	for i := range lab.Servers {
		if judged := g.network.Relay.Ports("udp", serverPort(i, 3478)); !slices.Equal(judged, ports) {
			g.Errorf("server %d: the sockets are seen with the ports\n%d, and the relay saw\n%d", i, ports, judged)
		}
	}
	g.agrees("udp", serverPort(0, 3478), 120) // as long as the kernel takes it for a question and its answer
	g.judged()
}

// ask asks every server who the socket is.
func (g *guest) ask(c *net.UDPConn) (seen []netip.AddrPort) {
	for i := range lab.Servers {
		buf := make([]byte, 100)
		for range 5 { // a datagram may be lost
			c.WriteToUDPAddrPort([]byte("who am I?"), serverPort(i, 3478))
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil || from != serverPort(i, 3478) {
				continue
			}
			port, err := netip.ParseAddrPort(string(buf[:n]))
			if err != nil {
				g.Error(err)
			}
			seen = append(seen, port)
			break
		}
	}
	if len(seen) < len(lab.Servers) {
		g.Errorf("only %d servers answered a socket", len(seen))
	}
	return seen
}

// agrees says that ports has as much as the relay saw towards a destination,
// and that the connections there have the time of the section.
func (g *guest) agrees(network string, to netip.AddrPort, seconds int) ports.Usage {
	g.Helper()
	var u ports.Usage
	g.json("mape-netplan ports --json", 0, &u)
	judged := g.network.Relay.Ports(network, to)
	i := slices.IndexFunc(u.Protocols, func(p ports.ProtocolUsage) bool { return p.Protocol == network })
	if b := u.Protocols[i].Busiest; b == nil || b.Port != to.Port() || b.Ports != len(judged) {
		g.Errorf("towards %s, ports says %+v, and the relay saw %d ports", to, b, len(judged))
	}
	for _, r := range u.Ranges {
		n := 0
		for _, port := range judged {
			if r.First <= port && port <= r.Last {
				n++
			}
		}
		if r.Used[network] < n {
			g.Errorf("ports says that %s uses %d of %d-%d, and the relay saw %d", network, r.Used[network], r.First, r.Last, n)
		}
	}
	words := network
	if network == "tcp" {
		words += " ESTABLISHED"
	}
	left := g.held(words, to)
	if len(left) < len(judged) {
		g.Errorf("%d connections to %s are remembered, and the relay saw %d", len(left), to, len(judged))
	}
	for _, left := range left {
		if left > seconds || left <= seconds/4 {
			g.Errorf("a connection to %s is remembered for another %d s, want %d", to, left, seconds)
			break
		}
	}
	return u
}

// held is for how many seconds each connection to a server that has these words is remembered.
func (g *guest) held(words string, to netip.AddrPort) []int {
	g.Helper()
	return remembered(g.sh("conntrack -L -d "+to.Addr().String()+" 2>/dev/null"), fmt.Sprintf("%s dport=%d", words, to.Port()))
}

// exhaustion: all ports can be used towards one destination while others are
// talked to, and what was refused is let through once one is free.
func (g *guest) exhaustion() {
	to := serverPort(2, 7)
	others := g.sockets(50)
	var open []net.Conn
	first, before := 0, g.refused()
	for tries := 0; len(open) < setSize; {
		if n := len(open); n%5 == 0 {
			others[n/5%len(others)].WriteToUDPAddrPort([]byte("x"), serverPort(3, 4500))
		}
		begin := time.Now()
		c, err := g.dial(to, 20*time.Second)
		// A SYN is sent again after a second. That the machine was slow is no refusal.
		if first == 0 && time.Since(begin) > 900*time.Millisecond && g.refused() > before {
			first = len(open) + 1
		}
		if err == nil {
			open, tries = append(open, c), 0
		} else if tries++; tries == 20 {
			g.Fatalf("after %d of %d connections: %v", len(open), setSize, err)
		}
	}
	g.Logf("the first SYN refused is that of connection %d, 0: no connection; %d SYNs of %d connections were refused", first, g.refused()-before, setSize)
	if first > 0 && first < setSize*80/100 {
		g.Error("that is too early")
	}
	if u := g.agrees("tcp", to, 7440); u.Protocols[0].Used != setSize {
		g.Errorf("ports says that %d ports are in use", u.Protocols[0].Used)
	}
	g.freed(to, open)
	g.judged()
}

// freed: a SYN that was refused, because every port is in use, is sent again,
// and passes when there are ports.
func (g *guest) freed(to netip.AddrPort, open []net.Conn) {
	begin, late, before := time.Now(), make(chan error, 1), g.refused()
	go func() {
		c, err := g.dial(to, 2*time.Minute)
		if err == nil {
			c.Close()
		}
		late <- err
	}()
	for g.refused() == before {
		select {
		case err := <-late:
			g.Fatalf("with no port free, a connection ended with %v", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	for i, c := range open {
		if i == len(open)/10 {
			if err := <-late; err != nil {
				g.Errorf("with a tenth of the ports free: %v", err)
			}
			g.Logf("a refused connection succeeds after %s", time.Since(begin).Round(100*time.Millisecond))
		}
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
}

func (g *guest) dial(to netip.AddrPort, wait time.Duration) (conn net.Conn, err error) {
	err = g.network.LAN.Do(func() error {
		conn, err = net.DialTimeout("tcp4", to.String(), wait)
		return err
	})
	return conn, err
}

// refused is how many packets the kernel dropped because it found no free port.
func (g *guest) refused() (sum int) {
	g.Helper()
	for _, word := range strings.Fields(g.sh("conntrack -S")) {
		if n, ok := strings.CutPrefix(word, "insert_failed="); ok {
			failed, err := strconv.Atoi(n)
			if err != nil {
				g.Fatal(err)
			}
			sum += failed
		}
	}
	return sum
}
