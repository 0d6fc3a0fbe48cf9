package nat_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
)

// TestMaxSegmentSize: SYN and SYN/ACK carry at most the MTU less 40 through the tunnel, and what is smaller stays.
func TestMaxSegmentSize(t *testing.T) {
	for _, name := range []string{"ocn", "offset0"} {
		for _, given := range []struct{ lan, inet, want uint16 }{{0, 0, 1420}, {536, 700, 0}} {
			l := gatewaytest.NewRig(t, gatewaytest.NatKinds[name])
			l.ServeTCP(t)
			l.Lan.Exec(t, "ip", "route", "change", "default", "via", "192.168.1.1", "advmss", fmt.Sprint(max(int(given.lan), 1460)))
			if given.lan != 0 {
				l.Lan.Exec(t, "ip", "route", "change", "default", "via", "192.168.1.1", "advmss", fmt.Sprint(given.lan))
				l.Inet.Exec(t, "ip", "route", "change", "192.0.2.0/24", "dev", "net0", "src", gatewaytest.Server, "advmss", fmt.Sprint(given.inet))
			} else {
				// The server's own device would not let it offer more than 1420.
				l.Inet.Exec(t, "ip", "link", "set", "net0", "mtu", "1500")
			}
			var left, arrived atomic.Uint32
			l.Set(func(outward bool, p []byte) bool {
				if mss := segmentSize(p); outward && mss != 0 {
					left.Store(uint32(mss))
				} else if mss != 0 {
					arrived.Store(uint32(mss))
				}
				return true
			})
			c, err := gatewaytest.Dial(l.Lan, gatewaytest.Server+":80", 3*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			wantOut, wantIn := given.want, given.want
			if given.want == 0 {
				wantOut, wantIn = given.lan, given.inet
			}
			if left.Load() != uint32(wantOut) {
				t.Errorf("%s: a SYN left with MSS %d, not %d", name, left.Load(), wantOut)
			}
			if given.want != 0 && arrived.Load() <= uint32(given.want) {
				t.Errorf("%s: a SYN/ACK with MSS %d proves nothing", name, arrived.Load())
			}
			if mss := sentSize(t, c); mss > int(wantIn) || mss < int(wantIn)-12 { // 12 for timestamps
				t.Errorf("%s: the LAN host sends segments of %d, not %d", name, mss, wantIn)
			}
		}
	}
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
		l := gatewaytest.NewRig(t, gatewaytest.NatKinds[name])
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
		for _, from := range []*hosttest.NS{l.Lan, l.Gw} {
			c := gatewaytest.Sockets(t, from, 1)[0]
			raw, _ := c.SyscallConn()
			raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1) })
			if _, err := gatewaytest.Ask(c, 1, 100); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if without.Load() != 2 {
			t.Errorf("%s: %d of 2 datagrams left without checksum", name, without.Load())
		}
	}
}

// TestEveryPort: all ports of the set are used and bring their answers back, and no other.
func TestEveryPort(t *testing.T) {
	for _, name := range []string{"ocn", "v6plus", "overlap"} {
		l := gatewaytest.NewRig(t, gatewaytest.NatKinds[name])
		l.ServeUDP(t)
		p := l.Gateway().Nat().Pool()
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
			if want := netip.AddrPortFrom(l.Sw.IPv4.Addr(), p.Real[uint16(n)]); err != nil || saw != want {
				t.Fatalf("%s: from %d: %v instead of %v, %v", name, n, saw, want, err)
			}
		}
		if len(l.Seen) != l.Sw.PortCount() {
			t.Errorf("%s: %d of %d ports seen", name, len(l.Seen), l.Sw.PortCount())
		}
	}
}
