package nat_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// forwardLine is a line with forwards, and servers behind them and beside.
func forwardLine(t *testing.T, sw softwire.Softwire, inbound string) (l *gatewaytest.Rig, first uint16) {
	t.Helper()
	l = gatewaytest.BareRig(t, sw)
	l.Forwards, l.Inbound = gatewaytest.ForwardsOf(sw), inbound
	if err := l.Table().Write(l.Conn); err != nil {
		t.Fatal(err)
	}
	first = l.Forwards[0].Ports[0].First
	for _, port := range []uint16{22, 7000, 7001, first + 1, first + 2, first + 3, first + 5} {
		gatewaytest.Say(t, l.Lan, "lan", port)
	}
	for _, port := range []uint16{22, 2222, first, first + 5} {
		gatewaytest.Say(t, l.Gw, "gw", port)
	}
	return l, first
}

// TestForward: what is forwarded arrives, from the internet with the address that it has there, from the LAN and the
// gateway itself as well; every other port stays silent.
func TestForward(t *testing.T) {
	for _, name := range gatewaytest.ForwardKinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, first := forwardLine(t, gatewaytest.NatKinds[name], "drop")
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
				got, from, _ := strings.Cut(gatewaytest.Hear(t, l.Inet, c.protocol, to, waitFor(c.want != "")), " ")
				if got != c.want || got != "" && !strings.HasPrefix(from, "198.51.100.1:") {
					t.Errorf("%s %s from the internet: %q from %s, not %q", c.protocol, to, got, from, c.want)
				}
				if c.want == "" {
					continue
				}
				for _, inside := range []*hosttest.NS{l.Lan, l.Gw} {
					if got, from, _ := strings.Cut(gatewaytest.Hear(t, inside, c.protocol, to, gatewaytest.Limit), " "); got != c.want {
						t.Errorf("%s %s from inside: %q from %s, not %q", c.protocol, to, got, from, c.want)
					}
				}
			}
		})
	}
}

// waitFor is how long a test waits for something.
func waitFor(comes bool) time.Duration {
	if comes {
		return gatewaytest.Limit
	}
	return gatewaytest.Silence
}

// TestForwardedPortsAreNotDrawn: connections of the LAN get every port of the set but the forwarded ones.
func TestForwardedPortsAreNotDrawn(t *testing.T) {
	t.Parallel()
	l := gatewaytest.BareRig(t, gatewaytest.NatKinds["v6plus"])
	l.Forwards = gatewaytest.ForwardsOf(l.Sw)
	if err := l.Table().Write(l.Conn); err != nil {
		t.Fatal(err)
	}
	drawn := map[uint16]bool{}
	o := newOpener(t, l)
	refused := 0
	for sport := uint16(20000); len(drawn) < l.Sw.Ports.Count()-5; {
		line, ok := o.first(t, kernel.ProtoUDP, sport, webServer)
		if !ok {
			if refused++; refused > mostRefusals {
				t.Fatalf("%d refused with %d ports taken", refused, len(drawn))
			}
			continue
		}
		drawn[line.Port()] = true
		sport++
	}
	if line, ok := o.first(t, kernel.ProtoUDP, 30000, webServer); ok {
		t.Errorf("one too many: %v", line)
	}
	for _, f := range l.Forwards {
		for _, r := range f.Ports {
			for port := r.First; port <= r.Last; port++ {
				if drawn[port] {
					t.Errorf("a connection got the port %d", port)
				}
			}
		}
	}
}

// TestInboundAccept: a new connection to a port of the set, under its real number, is left to other tables' destination
// NAT; without one it ends. The gateway's own services and ports outside the set stay out of reach.
func TestInboundAccept(t *testing.T) {
	for _, name := range gatewaytest.ForwardKinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, first := forwardLine(t, gatewaytest.NatKinds[name], "accept")
			l.Gw.Exec(t, "ip", "addr", "add", "192.0.2.18/32", "dev", "lo")
			outside := l.Sw.Ports.Ranges()[0].Last + 1
			if outside == 0 {
				outside = 2222 // every port is of the set, and this one a service's
			}
			other := fmt.Sprintf("192.0.2.18:%d", first+5)
			for _, protocol := range []string{"tcp", "udp"} {
				if got := gatewaytest.Hear(t, l.Inet, protocol, other, gatewaytest.Silence); got != "" {
					t.Errorf("%s: %s without any rule for it", protocol, got)
				}
				if got := gatewaytest.Hear(t, l.Inet, protocol, fmt.Sprintf("192.0.2.18:%d", first), gatewaytest.Limit); !strings.HasPrefix(got, "lan:22 198.51.100.1:") {
					t.Errorf("%s: forwarded: %q", protocol, got)
				}
			}
			l.Gw.Exec(t, "nft", fmt.Sprintf(`table ip other { chain c { type nat hook prerouting priority dstnat;
				meta l4proto { tcp, udp } th dport { %d, %d } dnat to 192.168.1.10:7000; }; }`, first+5, outside))
			for _, protocol := range []string{"tcp", "udp"} {
				if got := gatewaytest.Hear(t, l.Inet, protocol, other, gatewaytest.Limit); !strings.HasPrefix(got, "lan:7000 198.51.100.1:") {
					t.Errorf("%s: another table's destination NAT: %q", protocol, got)
				}
				if l.Sw.Ports.Has(outside) {
					continue
				}
				if got := gatewaytest.Hear(t, l.Inet, protocol, fmt.Sprintf("192.0.2.18:%d", outside), gatewaytest.Silence); got != "" {
					t.Errorf("%s: a port outside the set: %q", protocol, got)
				}
			}
		})
	}
}

// TestNoWayBack: what came out of the tunnel never goes back into it: not where the target of a forward is routed into the
// tunnel, and not where a new connection is accepted that nothing translates.
func TestNoWayBack(t *testing.T) {
	for _, name := range gatewaytest.ForwardKinds {
		for _, inbound := range []string{"drop", "accept"} {
			t.Run(name+" "+inbound, func(t *testing.T) {
				t.Parallel()
				noWayBack(t, gatewaytest.BareRig(t, gatewaytest.NatKinds[name]), inbound)
			})
		}
	}
}

func noWayBack(t *testing.T, l *gatewaytest.Rig, inbound string) {
	l.Forwards, l.Inbound = gatewaytest.ForwardsOf(l.Sw), inbound
	first := l.Forwards[0].Ports[0].First
	for i, to := range []string{"10.99.99.99:22", "192.0.2.18:22"} {
		port := first + 6 + uint16(i)
		l.Forwards = append(l.Forwards, schema.Forward{Protocol: "both", Ports: []schema.PortRange{{First: port, Last: port}}, To: netip.MustParseAddrPort(to)})
	}
	if err := l.Table().Write(l.Conn); err != nil {
		t.Fatal(err)
	}
	l.Gw.Exec(t, "ip", "link", "set", "eth0", "down")
	for port := first; port < first+10; port++ {
		if port == first+4 {
			continue // the gateway's own, which answers that nothing listens
		}
		l.Inject(t, hosttest.UdpTo(gatewaytest.Server, 53, "192.0.2.18", port, "x"))
		l.Inject(t, hosttest.TcpTo(gatewaytest.Server, 80, "192.0.2.18", port, 2))
		l.Inject(t, hosttest.TcpTo(gatewaytest.Server, 81, "192.0.2.18", port, 0x10))
	}
	if n := l.Quiet(); n != 0 {
		t.Errorf("%d packets went back", n)
	}
}

// TestOtherProtocolsOfNeighbours: a protocol without ports reaches the gateway from its LAN, multicast and broadcast
// included, though the default route would take those into the tunnel.
func TestOtherProtocolsOfNeighbours(t *testing.T) {
	t.Parallel()
	l := gatewaytest.NewRig(t, gatewaytest.NatKinds["ocn"])
	l.Lan.Exec(t, "ip", "route", "add", "224.0.0.0/4", "dev", "eth0")
	for _, protocol := range []int{2, 89, 112} { // IGMP, OSPF, VRRP
		for _, to := range []string{"224.0.0.18", "255.255.255.255", "192.168.1.255", "192.168.1.1"} {
			if !arrives(t, l, protocol, to) {
				t.Errorf("protocol %d to %s does not arrive", protocol, to)
			}
		}
	}
}

// arrives sends a packet of a protocol from the LAN host and reports whether the gateway gets it.
func arrives(t *testing.T, l *gatewaytest.Rig, protocol int, to string) (ok bool) {
	t.Helper()
	raw := func(n *hosttest.NS) (fd int) {
		var err error
		n.Do(func() { fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW, protocol) })
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	there, here := raw(l.Gw), raw(l.Lan)
	defer unix.Close(there)
	defer unix.Close(here)
	unix.SetsockoptIPMreqn(there, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreqn{Multiaddr: [4]byte{224, 0, 0, 18}, Address: [4]byte{192, 168, 1, 1}})
	unix.SetsockoptTimeval(there, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(gatewaytest.Limit / time.Second)})
	unix.SetsockoptInt(here, unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	if err := unix.Sendto(here, make([]byte, 30), 0, &unix.SockaddrInet4{Addr: netip.MustParseAddr(to).As4()}); err != nil {
		t.Fatal(err)
	}
	_, _, err := unix.Recvfrom(there, make([]byte, 100), 0)
	return err == nil
}
