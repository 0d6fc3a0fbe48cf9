package nat_test

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
)

var (
	webServer = netip.MustParseAddrPort(gatewaytest.Server + ":80")
	resolver  = netip.MustParseAddrPort(gatewaytest.Server + ":53")
)

// TCP flags.
const (
	fin = 0x01
	syn = 0x02
	rst = 0x04
	ack = 0x10
)

// An opener opens connections of the LAN host packet by packet, and plays the server as well. One packet is under way at a
// time, and what became of it is known before the next one is sent: how busy the machine is decides nothing.
type opener struct {
	l             *gatewaytest.Rig
	send, receive int                 // raw sockets of the LAN host
	left          chan netip.AddrPort // sources of packets that left the gateway
	refusals      int
}

// newOpener takes over what leaves the gateway of a rig. The LAN host's own TCP knows nothing of the connections; its resets
// are dropped.
func newOpener(t *testing.T, l *gatewaytest.Rig) *opener {
	t.Helper()
	hosttest.NeedTool(t, "conntrack")
	hosttest.NeedTool(t, "nft")
	l.Lan.Exec(t, "nft", "add table ip quiet; add chain ip quiet output { type filter hook output priority 0; }; add rule ip quiet output tcp flags rst drop")
	o := &opener{l: l, left: make(chan netip.AddrPort, 1)}
	raw := func(protocol int) (fd int) {
		var err error
		l.Lan.Do(func() { fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	o.send, o.receive = raw(unix.IPPROTO_RAW), raw(unix.IPPROTO_TCP)
	unix.SetsockoptTimeval(o.receive, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(gatewaytest.Limit / time.Second)})
	l.Set(func(outward bool, p []byte) bool {
		if outward && (p[9] == kernel.ProtoTCP || p[9] == kernel.ProtoUDP) {
			src, _ := netip.AddrFromSlice(p[12:16])
			o.left <- netip.AddrPortFrom(src, binary.BigEndian.Uint16(p[20:]))
		}
		return !outward
	})
	return o
}

// pass sends a packet from the LAN and returns the source that it leaves the gateway with; false where the gateway's NAT
// found no free port.
func (o *opener) pass(t *testing.T, p []byte) (netip.AddrPort, bool) {
	t.Helper()
	to := &unix.SockaddrInet4{Addr: [4]byte(p[16:20])}
	if err := unix.Sendto(o.send, p, 0, to); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(gatewaytest.Limit); time.Now().Before(end); {
		select {
		case from := <-o.left:
			return from, true
		case <-time.After(20 * time.Millisecond):
			if n := refusals(t, o.l); n > o.refusals {
				o.refusals = n
				return netip.AddrPort{}, false
			}
		}
	}
	t.Fatalf("a packet neither left nor was refused: %x", p)
	return netip.AddrPort{}, false
}

// refusals is how many packets the gateway dropped because NAT found no free port: the kernel notices when the
// connection is to be entered, and its tuple is there already.
func refusals(t testing.TB, l *gatewaytest.Rig) (sum int) {
	t.Helper()
	for _, word := range strings.Fields(l.Gw.Exec(t, "conntrack", "-S")) {
		if n, ok := strings.CutPrefix(word, "insert_failed="); ok {
			failed, err := strconv.Atoi(n)
			if err != nil {
				t.Fatal(err)
			}
			sum += failed
		}
	}
	return sum
}

// arrive sends a segment from the line through the gateway to the LAN host.
func (o *opener) arrive(t *testing.T, p []byte) {
	t.Helper()
	o.l.Inject(t, p)
	if _, _, err := unix.Recvfrom(o.receive, make([]byte, 100), 0); err != nil {
		t.Fatalf("nothing arrives in the LAN: %v", err)
	}
}

// first sends what opens a connection from a port of the LAN host: a SYN, or a datagram.
func (o *opener) first(t *testing.T, protocol byte, sport uint16, to netip.AddrPort) (netip.AddrPort, bool) {
	t.Helper()
	if protocol == kernel.ProtoUDP {
		return o.pass(t, hosttest.UdpTo("192.168.1.10", sport, to.Addr().String(), to.Port(), "x"))
	}
	return o.pass(t, tcpSegment(lanPort(sport), to, syn, isn(sport), 0))
}

// open opens a TCP connection and returns its port on the line.
func (o *opener) open(t *testing.T, sport uint16, to netip.AddrPort) (line netip.AddrPort, ok bool) {
	t.Helper()
	if line, ok = o.first(t, kernel.ProtoTCP, sport, to); ok {
		o.arrive(t, tcpSegment(to, line, syn|ack, 1000, isn(sport)+1))
		o.pass(t, tcpSegment(lanPort(sport), to, ack, isn(sport)+1, 1001))
	}
	return line, ok
}

// shut closes a connection from the client's side, as browsers do: TIME-WAIT is what is left of it.
func (o *opener) shut(t *testing.T, sport uint16, line, to netip.AddrPort) {
	t.Helper()
	o.pass(t, tcpSegment(lanPort(sport), to, fin|ack, isn(sport)+1, 1001))
	o.arrive(t, tcpSegment(to, line, fin|ack, 1001, isn(sport)+2))
	o.pass(t, tcpSegment(lanPort(sport), to, ack, isn(sport)+2, 1002))
}

func lanPort(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("192.168.1.10"), port)
}

// isn is the initial sequence number of a port: of later ports it is ahead of earlier ones', so that the kernel may take a
// closed connection's place.
func isn(port uint16) uint32 { return uint32(port) << 8 }

func tcpSegment(from, to netip.AddrPort, flags byte, seq, acked uint32) []byte {
	return segment(from.Addr().String(), from.Port(), to.Addr().String(), to.Port(), seq, acked, flags, 0)
}
