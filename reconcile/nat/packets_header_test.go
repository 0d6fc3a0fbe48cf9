package nat_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
)

// TestMaxSegmentSize: SYN and SYN/ACK carry at most the MTU less 40 through the tunnel, and what is smaller stays.
func TestMaxSegmentSize(t *testing.T) {
	for _, name := range []string{"ocn", "offset0"} {
		t.Run(name+" lowered", func(t *testing.T) {
			t.Parallel()
			l := gatewaytest.NewRig(t, gatewaytest.NatKinds[name])
			// The server's own device would not let it offer more than 1420.
			l.Inet.Exec(t, "ip", "link", "set", "net0", "mtu", "1500")
			left, arrived := segmentSizes(t, l, 1420)
			if left != 1420 || arrived <= 1420 {
				t.Errorf("a SYN left with MSS %d, a SYN/ACK arrived with %d", left, arrived)
			}
		})
		t.Run(name+" small", func(t *testing.T) {
			t.Parallel()
			l := gatewaytest.NewRig(t, gatewaytest.NatKinds[name])
			l.Lan.Exec(t, "ip", "route", "change", "default", "via", "192.168.1.1", "advmss", "536")
			l.Inet.Exec(t, "ip", "route", "change", "192.0.2.0/24", "dev", "net0", "src", gatewaytest.Server, "advmss", "700")
			if left, _ := segmentSizes(t, l, 700); left != 536 {
				t.Errorf("a SYN left with MSS %d", left)
			}
		})
	}
}

// segmentSizes connects the LAN host with the server, and returns the segment sizes of the SYN that left and of the SYN/ACK
// that arrived. The LAN host is to send segments of that size.
func segmentSizes(t *testing.T, l *gatewaytest.Rig, sends int) (left, arrived uint32) {
	t.Helper()
	l.ServeTCP(t)
	var sizes [2]atomic.Uint32
	l.Set(func(outward bool, p []byte) bool {
		if mss := segmentSize(p); mss != 0 && outward {
			sizes[0].Store(uint32(mss))
		} else if mss != 0 {
			sizes[1].Store(uint32(mss))
		}
		return true
	})
	c, err := gatewaytest.Dial(l.Lan, gatewaytest.Server+":80", gatewaytest.Limit)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if mss := sentSize(t, c); mss > sends || mss < sends-12 { // 12 for timestamps
		t.Errorf("the LAN host sends segments of %d, not %d", mss, sends)
	}
	return sizes[0].Load(), sizes[1].Load()
}

// segmentSize is the option of a SYN, which is the first that Linux writes.
func segmentSize(p []byte) uint16 {
	if p[9] != 6 || p[33]&2 == 0 || p[40] != 2 {
		return 0
	}
	return binary.BigEndian.Uint16(p[42:])
}

func sentSize(t *testing.T, c net.Conn) (mss int) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { mss, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG) })
	if err != nil {
		t.Fatal(err)
	}
	return mss
}

// TestUDPWithoutChecksum: a datagram without checksum has none afterwards, in both directions.
func TestUDPWithoutChecksum(t *testing.T) {
	for _, name := range []string{"ocn", "offset0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withoutChecksum(t, gatewaytest.NewRig(t, gatewaytest.NatKinds[name]))
		})
	}
}

func withoutChecksum(t *testing.T, l *gatewaytest.Rig) {
	l.ServeUDP(t)
	var without atomic.Int32
	l.Set(func(outward bool, p []byte) bool {
		if p[9] == 17 && !outward {
			p[26], p[27] = 0, 0 // the server's datagram loses its checksum on the way
		}
		if p[9] == 17 && outward && p[26] == 0 && p[27] == 0 {
			without.Add(1)
		}
		return true
	})
	for i, from := range []*hosttest.NS{l.Lan, l.Gw} {
		c := gatewaytest.Sockets(t, from, 1)[0]
		raw, _ := c.SyscallConn()
		raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1) })
		if _, err := gatewaytest.Ask(c, 1, 100); err != nil {
			t.Error(err)
		}
		if int(without.Load()) <= i {
			t.Error("a datagram left with a checksum")
		}
	}
}

// TestEveryPort: all ports of the set are used and bring their answers back, and no other.
func TestEveryPort(t *testing.T) {
	for _, name := range []string{"ocn", "v6plus", "overlap"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyPort(t, gatewaytest.NewRig(t, gatewaytest.NatKinds[name]))
		})
	}
}

func everyPort(t *testing.T, l *gatewaytest.Rig) {
	l.ServeUDP(t)
	p := l.Gateway().NATConfig().Pool()
	// A LAN host that sends from a number of the pool keeps it, so that every one can be asked for.
	for n := int(p.First); n <= int(p.Last); n++ {
		var c *net.UDPConn
		var err error
		l.Lan.Do(func() { c, err = net.ListenUDP("udp4", &net.UDPAddr{Port: n}) })
		if err != nil {
			t.Fatal(err)
		}
		saw, err := gatewaytest.Ask(c, 1+n%9, 30) // one destination alone would not leave it the choice
		c.Close()
		if want := netip.AddrPortFrom(l.Sw.Inner.Addr(), p.Real()[uint16(n)]); err != nil || saw != want {
			t.Fatalf("from %d: %v instead of %v, %v", n, saw, want, err)
		}
	}
	if len(l.Seen) != l.Sw.Ports.Count() {
		t.Errorf("%d of %d ports seen", len(l.Seen), l.Sw.Ports.Count())
	}
}
