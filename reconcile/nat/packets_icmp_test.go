package nat_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
)

// icmpKinds are tables with and without maps.
var icmpKinds = []string{"ocn", "v6plus", "overlap", "offset0", "prefix"}

// TestPortUnreachable: an ICMP error from the internet reaches the socket that it is about.
func TestPortUnreachable(t *testing.T) {
	icmpRigs(t, icmpKinds, func(t *testing.T, l *gatewaytest.Rig) {
		for _, from := range []*hosttest.NS{l.Lan, l.Gw} {
			var c net.Conn
			var err error
			from.Do(func() { c, err = net.Dial("udp4", gatewaytest.Server+":9") })
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.Write([]byte("x"))
			c.SetReadDeadline(time.Now().Add(gatewaytest.Limit))
			if _, err := c.Read(make([]byte, 10)); !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("a closed port gives %v", err)
			}
		}
	})
}

// icmpRigs runs a test with a rig of each kind.
func icmpRigs(t *testing.T, kinds []string, test func(*testing.T, *gatewaytest.Rig)) {
	for _, name := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, gatewaytest.NewRig(t, gatewaytest.NatKinds[name]))
		})
	}
}

// TestErrorFromLAN: an ICMP error that a LAN host or the gateway sends quotes what the internet knows, and reaches the
// socket there.
func TestErrorFromLAN(t *testing.T) {
	icmpRigs(t, icmpKinds, func(t *testing.T, l *gatewaytest.Rig) {
		for _, from := range []*hosttest.NS{l.Lan, l.Gw} {
			errorFrom(t, l, from)
		}
	})
}

// errorFrom has a socket of the internet answer one that is closed by then.
func errorFrom(t *testing.T, l *gatewaytest.Rig, from *hosttest.NS) {
	t.Helper()
	local := &net.UDPAddr{IP: net.ParseIP(gatewaytest.Server), Port: 3478}
	there := rebound(t, l, func() (*net.UDPConn, error) { return net.ListenUDP("udp4", local) })
	here := gatewaytest.Sockets(t, from, 1)[0]
	here.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(gatewaytest.Server+":3478"))
	there.SetReadDeadline(time.Now().Add(gatewaytest.Limit))
	_, back, err := there.ReadFromUDPAddrPort(make([]byte, 10))
	if err != nil {
		t.Fatal(err)
	}
	here.Close()
	there.Close()
	there = rebound(t, l, func() (*net.UDPConn, error) {
		return net.DialUDP("udp4", local, net.UDPAddrFromAddrPort(back))
	})
	defer there.Close()
	there.Write([]byte("x"))
	there.SetReadDeadline(time.Now().Add(gatewaytest.Limit))
	if _, err := there.Read(make([]byte, 10)); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("the socket in the internet got %v", err)
	}
}

// rebound opens a socket of the internet at a port that another one had: a process that a parallel test is starting holds
// the closed one until it has run its program.
func rebound(t *testing.T, l *gatewaytest.Rig, open func() (*net.UDPConn, error)) (c *net.UDPConn) {
	t.Helper()
	for end := time.Now().Add(gatewaytest.Limit); ; time.Sleep(time.Millisecond) {
		var err error
		l.Inet.Do(func() { c, err = open() })
		if err == nil {
			return c
		}
		if !errors.Is(err, unix.EADDRINUSE) || time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// TestTraceroute: every hop shows, for probes of UDP, ICMP and TCP. The judge plays three routers: what leaves with a
// small TTL comes back as time exceeded, from 203.0.113.<TTL>.
func TestTraceroute(t *testing.T) {
	hosttest.NeedTool(t, "traceroute")
	icmpRigs(t, []string{"ocn", "overlap", "offset0"}, func(t *testing.T, l *gatewaytest.Rig) {
		l.ServeTCP(t)
		l.Set(func(outward bool, p []byte) bool {
			if ttl := p[8]; outward && ttl <= 3 {
				router := netip.AddrFrom4([4]byte{203, 0, 113, ttl}).String()
				src, _ := netip.AddrFromSlice(p[12:16])
				l.Tunnel.Write(hosttest.ErrorTo(router, src.String(), hosttest.TimeExceeded, 0, 0, p))
				return false
			}
			return true
		})
		for _, probe := range []string{"-U", "-I", "-T"} {
			out, err := l.Lan.Try("traceroute", "-n", probe, "-w", "60", "-q", "2", "-m", "8", "-p", "80", gatewaytest.Server)
			for _, hop := range []string{"192.168.1.1 ", "203.0.113.1 ", "203.0.113.2 ", "203.0.113.3 ", gatewaytest.Server} {
				if !strings.Contains(out, hop) {
					t.Errorf("traceroute %s does not show %s (%v):\n%s", probe, hop, err, out)
				}
			}
		}
	})
}

// TestPathMTU: a packet too big beyond the border relay lowers the path MTU of the host that sent it.
func TestPathMTU(t *testing.T) {
	icmpRigs(t, []string{"ocn", "offset0"}, func(t *testing.T, l *gatewaytest.Rig) {
		l.ServeTCP(t)
		l.Set(func(outward bool, p []byte) bool {
			if !outward || len(p) <= 1400 {
				return true
			}
			if p[6]&0x40 == 0 {
				t.Error("a big packet may be fragmented")
			}
			src, _ := netip.AddrFromSlice(p[12:16])
			l.Tunnel.Write(hosttest.ErrorTo("203.0.113.1", src.String(), hosttest.DestinationUnreachable, 4, 1400, p))
			return false
		})
		gatewaytest.FlowTCP(t, l.Lan)
		out := l.Lan.Exec(t, "ip", "route", "get", gatewaytest.Server)
		if !strings.Contains(out, "mtu 1400") {
			t.Errorf("path MTU: %s", out)
		}
	})
}

// TestForeignErrors: an ICMP error about a connection that does not exist, about a port outside the set or with IP
// options in what it quotes goes nowhere and breaks nothing.
func TestForeignErrors(t *testing.T) {
	t.Parallel()
	l := gatewaytest.NewRig(t, gatewaytest.NatKinds["ocn"])
	l.ServeUDP(t)
	c := gatewaytest.Sockets(t, l.Lan, 1)[0]
	saw, err := gatewaytest.Ask(c, 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	good := hosttest.UdpTo("192.0.2.18", saw.Port(), gatewaytest.Server, 3478, "x")
	options := slices.Clone(good)
	options[0] = 0x46
	for _, about := range [][]byte{
		options, good[:24], hosttest.UdpTo("192.0.2.18", saw.Port(), gatewaytest.Server, 3479, "x"), hosttest.UdpTo("192.0.2.18", 53, gatewaytest.Server, 3478, "x"),
		hosttest.UdpTo("192.0.2.18", poolPort(l), gatewaytest.Server, 3478, "x"), hosttest.EchoTo("192.0.2.18", gatewaytest.Server, hosttest.EchoRequest, saw.Port()),
		hosttest.EchoTo("192.0.2.18", gatewaytest.Server, hosttest.EchoRequest, 7),
	} {
		l.Inject(t, hosttest.ErrorTo("203.0.113.1", "192.0.2.18", hosttest.DestinationUnreachable, 3, 0, about))
	}
	if saw2, err := gatewaytest.Ask(c, 1, 10); err != nil || saw2 != saw {
		t.Errorf("afterwards: %v, %v", saw2, err)
	}
	// One about the connection itself arrives, and it alone: the others did not because they were wrong.
	l.Inject(t, hosttest.ErrorTo("203.0.113.1", "192.0.2.18", hosttest.DestinationUnreachable, 3, 0, good))
	n := 0
	for end := time.Now().Add(gatewaytest.Limit); n == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		n = unreachables(t, l.Lan)
	}
	if n != 1 {
		t.Errorf("%d of 1 ICMP errors reached the LAN host", n)
	}
}

// unreachables is how many ICMP destination unreachable a namespace got.
func unreachables(t *testing.T, n *hosttest.NS) int {
	t.Helper()
	var b []byte
	var err error
	n.Do(func() { b, err = os.ReadFile("/proc/thread-self/net/snmp") })
	var lines [][]string
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "Icmp: ") {
			lines = append(lines, strings.Fields(line))
		}
	}
	if err != nil || len(lines) != 2 {
		t.Fatalf("%v: %s", err, b)
	}
	count, err := strconv.Atoi(lines[1][slices.Index(lines[0], "InDestUnreachs")])
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// poolPort is a number that connection tracking uses for the set, but is not in it.
func poolPort(l *gatewaytest.Rig) uint16 {
	p := l.Gateway().NATConfig().Pool()
	for n := p.First; n < p.Last; n++ {
		if !l.Sw.Ports.Has(n) {
			return n
		}
	}
	return 0
}
