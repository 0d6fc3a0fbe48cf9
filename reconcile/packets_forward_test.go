package reconcile

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// forwardsOf returns forwards of the first ports of a set: one to another port of the LAN host, a range by number, one to
// the gateway itself.
func forwardsOf(sw softwire.Softwire) []schema.Forward {
	first := sw.Ports()[0].First
	if first < firstPort {
		first = 2000
	}
	return []schema.Forward{
		{Protocol: "both", Ports: []schema.PortRange{{First: first, Last: first}}, To: netip.MustParseAddrPort("192.168.1.10:22")},
		{Protocol: "tcp", Ports: []schema.PortRange{{First: first + 1, Last: first + 3}}, To: netip.MustParseAddrPort("192.168.1.10:0")},
		{Protocol: "udp", Ports: []schema.PortRange{{First: first + 1, Last: first + 2}}, To: netip.MustParseAddrPort("192.168.1.10:7000")},
		{Protocol: "both", Ports: []schema.PortRange{{First: first + 4, Last: first + 4}}, To: netip.MustParseAddrPort("192.168.1.1:2222")},
	}
}

// forwardKinds are sets of every shape that a forward makes something else of.
var forwardKinds = []string{"ocn", "v6plus", "overlap", "offset0", "address", "prefix"}

// say answers on a TCP port and a UDP port of a namespace with its name and whom it sees.
func say(t *testing.T, n *ns, name string, port uint16) {
	t.Helper()
	n.do(func() {
		listener, err := net.Listen("tcp4", fmt.Sprintf(":%d", port))
		if err != nil {
			t.Fatal(err)
		}
		packets, err := net.ListenPacket("udp4", fmt.Sprintf(":%d", port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close(); packets.Close() })
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				fmt.Fprintf(c, "%s:%d %v\n", name, port, c.RemoteAddr())
				c.Close()
			}
		}()
		go func() {
			b := make([]byte, 100)
			for {
				_, from, err := packets.ReadFrom(b)
				if err != nil {
					return
				}
				packets.WriteTo(fmt.Appendf(nil, "%s:%d %v\n", name, port, from), from)
			}
		}()
	})
}

// hear connects and returns what is answered: "" when there is no answer.
func hear(t *testing.T, from *ns, protocol, to string) (answer string) {
	t.Helper()
	from.do(func() {
		c, err := (&net.Dialer{Timeout: 700 * time.Millisecond}).Dial(protocol+"4", to)
		if err == nil {
			defer c.Close()
			c.SetDeadline(time.Now().Add(700 * time.Millisecond))
			if protocol == "udp" {
				c.Write([]byte("x"))
			}
			answer, err = bufio.NewReader(c).ReadString('\n')
		}
		if err != nil && !isTimeout(err) && !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%s %s: %v", protocol, to, err)
		}
	})
	return strings.TrimSpace(answer)
}

// forwardLine is a line with forwards, and servers behind them and beside.
func forwardLine(t *testing.T, sw softwire.Softwire, inbound string) (l *line, first uint16) {
	t.Helper()
	l = bareLine(t, sw)
	l.forwards, l.inbound = forwardsOf(sw), inbound
	if err := l.table().Write(l.conn); err != nil {
		t.Fatal(err)
	}
	first = l.forwards[0].Ports[0].First
	for _, port := range []uint16{22, 7000, 7001, first + 1, first + 2, first + 3, first + 5} {
		say(t, l.lan, "lan", port)
	}
	for _, port := range []uint16{22, 2222, first, first + 5} {
		say(t, l.gw, "gw", port)
	}
	return l, first
}

// TestForward: what is forwarded arrives, from the internet with the address that it has there, from the LAN and the
// gateway itself as well; every other port stays silent.
func TestForward(t *testing.T) {
	for _, name := range forwardKinds {
		t.Run(name, func(t *testing.T) {
			l, first := forwardLine(t, natKinds[name], "drop")
			for _, c := range []struct {
				protocol string
				port     uint16
				want     string
			}{
				{"tcp", first, "lan:22"}, {"udp", first, "lan:22"},
				{"tcp", first + 1, fmt.Sprintf("lan:%d", first+1)}, {"tcp", first + 3, fmt.Sprintf("lan:%d", first+3)},
				{"udp", first + 1, "lan:7000"}, {"udp", first + 2, "lan:7001"}, {"udp", first + 3, ""},
				{"tcp", first + 4, "gw:2222"}, {"udp", first + 4, "gw:2222"},
				{"tcp", first + 5, ""}, {"udp", first + 5, ""}, {"tcp", 22, ""}, {"udp", 2222, ""},
			} {
				to := fmt.Sprintf("192.0.2.18:%d", c.port)
				got, from, _ := strings.Cut(hear(t, l.inet, c.protocol, to), " ")
				if got != c.want || got != "" && !strings.HasPrefix(from, "198.51.100.1:") {
					t.Errorf("%s %s from the internet: %q from %s, not %q", c.protocol, to, got, from, c.want)
				}
				if c.want == "" {
					continue
				}
				for _, inside := range []*ns{l.lan, l.gw} {
					if got, from, _ := strings.Cut(hear(t, inside, c.protocol, to), " "); got != c.want {
						t.Errorf("%s %s from inside: %q from %s, not %q", c.protocol, to, got, from, c.want)
					}
				}
			}
		})
	}
}

// TestForwardedPortsAreNotDrawn: no connection of the LAN ever gets a forwarded port, nor any other service one.
func TestForwardedPortsAreNotDrawn(t *testing.T) {
	l := bareLine(t, natKinds["v6plus"])
	l.forwards = forwardsOf(l.sw)
	if err := l.table().Write(l.conn); err != nil {
		t.Fatal(err)
	}
	l.serveUDP(t)
	count := 0
	for _, c := range sockets(t, l.lan, l.sw.PortCount()) {
		saw, err := askOnce(c)
		if err != nil {
			continue
		}
		count++
		for _, f := range l.forwards {
			for _, r := range f.Ports {
				if saw.Port() >= r.First && saw.Port() <= r.Last {
					t.Errorf("a socket got the port %d", saw.Port())
				}
			}
		}
	}
	if want := l.sw.PortCount() - 5; count != want {
		t.Errorf("%d sockets got a port, not %d", count, want)
	}
}

func askOnce(c *net.UDPConn) (netip.AddrPort, error) {
	c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(server+":3478"))
	c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	b := make([]byte, 100)
	n, err := c.Read(b)
	if err != nil {
		return netip.AddrPort{}, err
	}
	text, _, _ := strings.Cut(string(b[:n]), "\x00")
	return netip.ParseAddrPort(text)
}

// TestInboundAccept: a new connection to a port of the set, under its real number, is left to other tables' destination
// NAT; without one it ends. The gateway's own services and ports outside the set stay out of reach.
func TestInboundAccept(t *testing.T) {
	for _, name := range forwardKinds {
		t.Run(name, func(t *testing.T) {
			l, first := forwardLine(t, natKinds[name], "accept")
			l.gw.run(t, "ip", "addr", "add", "192.0.2.18/32", "dev", "lo")
			outside := l.sw.Ports()[0].Last + 1
			if outside == 0 {
				outside = 2222 // every port is of the set, and this one a service's
			}
			other := fmt.Sprintf("192.0.2.18:%d", first+5)
			for _, protocol := range []string{"tcp", "udp"} {
				if got := hear(t, l.inet, protocol, other); got != "" {
					t.Errorf("%s: %s without a rule of anybody's", protocol, got)
				}
				if got := hear(t, l.inet, protocol, fmt.Sprintf("192.0.2.18:%d", first)); !strings.HasPrefix(got, "lan:22 198.51.100.1:") {
					t.Errorf("%s: forwarded: %q", protocol, got)
				}
			}
			l.gw.run(t, "nft", fmt.Sprintf(`table ip other { chain c { type nat hook prerouting priority dstnat;
				meta l4proto { tcp, udp } th dport { %d, %d } dnat to 192.168.1.10:7000; }; }`, first+5, outside))
			for _, protocol := range []string{"tcp", "udp"} {
				if got := hear(t, l.inet, protocol, other); !strings.HasPrefix(got, "lan:7000 198.51.100.1:") {
					t.Errorf("%s: another table's destination NAT: %q", protocol, got)
				}
				got := hear(t, l.inet, protocol, fmt.Sprintf("192.0.2.18:%d", outside))
				if !natKinds[name].HasPort(outside) && got != "" {
					t.Errorf("%s: a port outside the set: %q", protocol, got)
				}
			}
		})
	}
}

// TestNoWayBack: what came out of the tunnel never goes back into it: not where a forward leads to a host that only the
// tunnel has a route to, and not where a new connection is accepted that nobody translates.
func TestNoWayBack(t *testing.T) {
	for _, name := range forwardKinds {
		for _, inbound := range []string{"drop", "accept"} {
			l := bareLine(t, natKinds[name])
			l.forwards, l.inbound = forwardsOf(l.sw), inbound
			first := l.forwards[0].Ports[0].First
			for i, to := range []string{"10.99.99.99:22", "192.0.2.18:22"} {
				port := first + 6 + uint16(i)
				l.forwards = append(l.forwards, schema.Forward{Protocol: "both", Ports: []schema.PortRange{{First: port, Last: port}}, To: netip.MustParseAddrPort(to)})
			}
			if err := l.table().Write(l.conn); err != nil {
				t.Fatal(err)
			}
			l.gw.run(t, "ip", "link", "set", "eth0", "down")
			for port := first; port < first+10; port++ {
				if port == first+4 {
					continue // the gateway's own, which answers that nobody listens
				}
				l.inject(t, udpTo(server, 53, "192.0.2.18", port, "x"))
				l.inject(t, tcpTo(server, 80, "192.0.2.18", port, 2))
				l.inject(t, tcpTo(server, 81, "192.0.2.18", port, 0x10))
			}
			if n := l.quiet(); n != 0 {
				t.Errorf("%s, inbound %s: %d packets went back", name, inbound, n)
			}
		}
	}
}

// TestOtherProtocolsOfNeighbours: a protocol without ports reaches the gateway from its LAN, multicast and broadcast
// included, though the default route would take those into the tunnel.
func TestOtherProtocolsOfNeighbours(t *testing.T) {
	l := newLine(t, natKinds["ocn"])
	l.lan.run(t, "ip", "route", "add", "224.0.0.0/4", "dev", "eth0")
	for _, protocol := range []int{2, 89, 112} { // IGMP, OSPF, VRRP
		for _, to := range []string{"224.0.0.18", "255.255.255.255", "192.168.1.255", "192.168.1.1"} {
			if !arrives(t, l, protocol, to) {
				t.Errorf("protocol %d to %s does not arrive", protocol, to)
			}
		}
	}
}

// arrives sends a packet of a protocol from the LAN host and says whether the gateway gets it.
func arrives(t *testing.T, l *line, protocol int, to string) (ok bool) {
	t.Helper()
	raw := func(n *ns) (fd int) {
		var err error
		n.do(func() { fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW, protocol) })
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	there, here := raw(l.gw), raw(l.lan)
	defer unix.Close(there)
	defer unix.Close(here)
	unix.SetsockoptIPMreqn(there, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreqn{Multiaddr: [4]byte{224, 0, 0, 18}, Address: [4]byte{192, 168, 1, 1}})
	unix.SetsockoptTimeval(there, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 500000})
	unix.SetsockoptInt(here, unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	if err := unix.Sendto(here, make([]byte, 30), 0, &unix.SockaddrInet4{Addr: netip.MustParseAddr(to).As4()}); err != nil {
		t.Fatal(err)
	}
	_, _, err := unix.Recvfrom(there, make([]byte, 100), 0)
	return err == nil
}
