package nat_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nat"
)

// TestUnsolicited: what no host here asked for is not answered, not sent back and does not reach the gateway or the LAN,
// whatever it is and wherever its port lies; nor does it if the gateway has the shared address itself.
func TestUnsolicited(t *testing.T) {
	hosttest.NeedTool(t, "conntrack")
	for _, name := range []string{"ocn", "overlap", "offset0", "offset0-psid0", "address", "prefix"} {
		for what, local := range map[string]bool{"": false, " with the address": true} {
			t.Run(name+what, func(t *testing.T) {
				t.Parallel()
				unsolicited(t, gatewaytest.NewRig(t, gatewaytest.NatKinds[name]), local)
			})
		}
	}
}

func unsolicited(t *testing.T, l *gatewaytest.Rig, local bool) {
	if local {
		l.Gw.Exec(t, "ip", "addr", "add", "192.0.2.18/32", "dev", "lo")
	}
	for _, port := range unsolicitedPorts(l) {
		mustHearNothing(t, l.Gw, port)
	}
	for _, dst := range []string{"192.0.2.18", "192.0.2.99", "192.168.1.1", "192.168.1.10", "224.0.0.1", "255.255.255.255"} {
		for _, port := range unsolicitedPorts(l) {
			for _, p := range [][]byte{
				hosttest.UdpTo(gatewaytest.Server, 53, dst, port, "x"), hosttest.TcpTo(gatewaytest.Server, 80, dst, port, 2), hosttest.TcpTo(gatewaytest.Server, 80, dst, port, 0x10),
				hosttest.TcpTo(gatewaytest.Server, 80, dst, port, 0x12), hosttest.TcpTo(gatewaytest.Server, 80, dst, port, 4), hosttest.EchoTo(gatewaytest.Server, dst, hosttest.EchoRequest, port),
				hosttest.EchoTo(gatewaytest.Server, dst, hosttest.EchoReply, port),
			} {
				l.Inject(t, p)
				p[8], p[10], p[11] = 1, 0, 0 // the last hop: forwarding it would make a time exceeded
				binary.BigEndian.PutUint16(p[10:], hosttest.Sum(0, p[:20]))
				l.Inject(t, p)
			}
		}
		l.Inject(t, hosttest.Ipv4(gatewaytest.Server, dst, 47, make([]byte, 20)))
		l.Inject(t, hosttest.EchoTo(gatewaytest.Server, dst, 5, 1))
	}
	if n := l.Quiet(); n != 0 {
		t.Errorf("%d packets left", n)
	}
	if out, err := l.Gw.Try("conntrack", "-L"); err == nil && len(out) > 0 && out[0] != 'c' {
		t.Errorf("connections: %s", out)
	}
}

// TestUnsolicitedFromPeer: a subscriber with the same shared address, or one that forges it, gets nothing back, though its
// ports are numbers of the pool. Connection tracking calls most of this invalid, and NAT never sees it.
func TestUnsolicitedFromPeer(t *testing.T) {
	for _, name := range []string{"ocn", "overlap", "offset0", "address", "prefix"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := gatewaytest.NewRig(t, gatewaytest.NatKinds[name])
			set, pool := l.Sw.Ports.Ranges(), l.Gateway().NATConfig().Pool()
			for _, sport := range []uint16{pool.First, pool.Last, set[0].First, set[len(set)-1].Last, 1, 40000} {
				for _, dport := range []uint16{set[0].First, set[len(set)-1].Last, pool.First} {
					for _, flags := range []byte{0, 1, 2, 4, 0x10, 0x11, 0x12, 0x14, 0x18} {
						l.Inject(t, hosttest.TcpTo("192.0.2.18", sport, "192.0.2.18", dport, flags))
					}
					l.Inject(t, hosttest.UdpTo("192.0.2.18", sport, "192.0.2.18", dport, "x"))
					l.Inject(t, hosttest.EchoTo("192.0.2.18", "192.0.2.18", hosttest.EchoReply, dport))
				}
			}
			if n := l.Quiet(); n != 0 {
				t.Errorf("%d packets left", n)
			}
		})
	}
}

// mustHearNothing reports what comes to a UDP port of a namespace.
func mustHearNothing(t *testing.T, n *hosttest.NS, port uint16) {
	t.Helper()
	n.Do(func() {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{Port: int(port)})
		if err != nil {
			return // the same port twice
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			if n, from, err := c.ReadFrom(make([]byte, 100)); err == nil {
				t.Errorf("%d bytes from %v", n, from)
			}
		}()
	})
}

// unsolicitedPorts are in the set, outside, and numbers of the pool.
func unsolicitedPorts(l *gatewaytest.Rig) []uint16 {
	set := l.Sw.Ports.Ranges()
	pool := l.Gateway().NATConfig().Pool()
	return []uint16{
		set[0].First, set[0].Last, set[len(set)-1].Last, set[0].First - 1, set[0].Last + 1, pool.First, pool.Last, pool.First + 1,
		0, 1, 53, 65535,
	}
}

// TestUnsolicitedWhileOpen: while a connection is open, packets to its pool number, to its port from a stranger and to
// neighbouring ports do not arrive, and the connection stays as it is.
func TestUnsolicitedWhileOpen(t *testing.T) {
	t.Parallel()
	l := gatewaytest.NewRig(t, gatewaytest.NatKinds["ocn"])
	l.ServeUDP(t)
	c := gatewaytest.Sockets(t, l.Lan, 1)[0]
	saw, err := gatewaytest.Ask(c, 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	inside := nat.Inverse(l.Gateway().NATConfig().Pool().Real())[saw.Port()]
	for _, p := range [][]byte{
		hosttest.UdpTo(gatewaytest.Server, 3478, "192.0.2.18", inside, "pool number"), hosttest.UdpTo("198.51.100.2", 3478, "192.0.2.18", saw.Port(), "stranger"),
		hosttest.UdpTo(gatewaytest.Server, 3479, "192.0.2.18", saw.Port(), "other port"), hosttest.UdpTo(gatewaytest.Server, 3478, "192.0.2.18", saw.Port()+1, "neighbour"),
	} {
		l.Inject(t, p)
	}
	l.Inject(t, hosttest.UdpTo(gatewaytest.Server, 3478, "192.0.2.18", saw.Port(), "right"))
	c.SetReadDeadline(time.Now().Add(gatewaytest.Limit))
	b := make([]byte, 100)
	if n, from, err := c.ReadFromUDPAddrPort(b); err != nil || string(b[:n]) != "right" {
		t.Errorf("%q from %v, %v", b[:n], from, err)
	}
}

// TestGuard: nothing leaves untranslated, though other tables try.
func TestGuard(t *testing.T) {
	for what, rules := range map[string]string{
		"untracked":        "add chain ip other c { type filter hook prerouting priority -300; }; add rule ip other c notrack",
		"untracked output": "add chain ip other c { type filter hook output priority -300; }; add rule ip other c notrack",
		"source changed":   "add chain ip other c { type filter hook postrouting priority 150; }; add rule ip other c ip saddr set 192.168.1.77",
		"port changed":     "add chain ip other c { type filter hook postrouting priority 150; }; add rule ip other c udp sport set 53",
		"NAT taken":        "add chain ip other c { type nat hook postrouting priority -150; }; add rule ip other c snat to 192.168.1.1",
		"masquerade":       "add chain ip other c { type nat hook postrouting priority 100; }; add rule ip other c masquerade",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			l := gatewaytest.NewRig(t, gatewaytest.NatKinds["ocn"])
			l.ServeUDP(t)
			l.Gw.Exec(t, "nft", "add table ip other; "+rules)
			for _, from := range []*hosttest.NS{l.Lan, l.Gw} {
				for _, c := range gatewaytest.Sockets(t, from, 20) {
					c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(gatewaytest.Server+":3478"))
				}
				from.Try("ping", "-c1", "-W1", gatewaytest.Server)
			}
			n := l.Quiet()
			for end := time.Now().Add(gatewaytest.Limit); what == "masquerade" && n < 42 && time.Now().Before(end); n = l.Quiet() {
			}
			t.Logf("%d packets left, all in order", n)
			if what == "masquerade" && n < 42 {
				t.Error("another table's masquerade stops the traffic")
			}
		})
	}
}

// TestOtherProtocols: they get ICMP protocol unreachable, and never leave.
func TestOtherProtocols(t *testing.T) {
	for _, name := range []string{"ocn", "offset0", "address", "prefix"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := gatewaytest.NewRig(t, gatewaytest.NatKinds[name])
			for _, proto := range []int{2, 41, 47, 50, 108} {
				otherProtocol(t, l, proto)
			}
			if n := l.Quiet(); n != 0 {
				t.Errorf("%d packets left", n)
			}
		})
	}
}

func otherProtocol(t *testing.T, l *gatewaytest.Rig, proto int) {
	t.Helper()
	var c net.Conn
	var err error
	l.Lan.Do(func() { c, err = net.Dial(fmt.Sprintf("ip4:%d", proto), gatewaytest.Server) })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write(make([]byte, 40))
	c.SetReadDeadline(time.Now().Add(gatewaytest.Limit))
	if _, err := c.Read(make([]byte, 100)); !errors.Is(err, unix.ENOPROTOOPT) {
		t.Errorf("protocol %d: %v", proto, err)
	}
	l.Gw.Do(func() {
		if c, err := net.Dial(fmt.Sprintf("ip4:%d", proto), gatewaytest.Server); err == nil {
			c.Write(make([]byte, 40))
			c.Close()
		}
	})
}

// TestSpoofed: a LAN host that uses the shared address, or breaks checksums, gets nothing wrong out.
func TestSpoofed(t *testing.T) {
	t.Parallel()
	l := gatewaytest.NewRig(t, gatewaytest.NatKinds["ocn"])
	raw := -1
	l.Lan.Do(func() { raw, _ = unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW) })
	if raw < 0 {
		t.Fatal("no raw socket")
	}
	defer unix.Close(raw)
	to := &unix.SockaddrInet4{Addr: netip.MustParseAddr(gatewaytest.Server).As4()}
	for _, src := range []string{"192.0.2.18", "192.168.1.10", "10.9.8.7", "203.0.113.5"} {
		for _, port := range []uint16{0, 53, 1872, 1856, 5000} {
			broken := hosttest.UdpTo(src, port, gatewaytest.Server, 53, "x")
			broken[27] ^= 1
			for _, p := range [][]byte{
				broken, hosttest.UdpTo(src, port, gatewaytest.Server, 53, "x"), hosttest.TcpTo(src, port, gatewaytest.Server, 80, 2), hosttest.TcpTo(src, port, gatewaytest.Server, 80, 4),
				hosttest.TcpTo(src, port, gatewaytest.Server, 80, 0x11), hosttest.EchoTo(src, gatewaytest.Server, hosttest.EchoRequest, port), hosttest.EchoTo(src, gatewaytest.Server, hosttest.EchoReply, port),
				hosttest.ErrorTo(src, gatewaytest.Server, hosttest.DestinationUnreachable, 3, 0, hosttest.UdpTo(gatewaytest.Server, 53, src, port, "x")),
				hosttest.ErrorTo(src, gatewaytest.Server, hosttest.TimeExceeded, 0, 0, hosttest.UdpTo(gatewaytest.Server, 53, "192.0.2.18", port, "x")), hosttest.EchoTo(src, gatewaytest.Server, 13, port),
			} {
				unix.Sendto(raw, p, 0, to)
			}
		}
	}
	l.Quiet()
}
