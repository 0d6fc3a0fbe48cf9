package reconcile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// A line is a LAN host, a gateway and the IPv4 internet, three namespaces. Between the gateway and the internet is this
// process: it holds a TUN device in each and carries and judges every packet, as a border relay does.
//
//	lan 192.168.1.10 ── 192.168.1.1 gw mape0 ── judge ── net0 198.51.100.1…9 inet
type line struct {
	lan, gw, inet *ns
	conn          *nft.Conn
	sw            softwire.Softwire
	forwards      []schema.Forward
	inbound       string
	tunnel, net   *os.File

	mu      sync.Mutex
	out, in int             // packets carried
	wrong   []string        // what left that must not
	seen    map[uint16]bool // source ports and echo identifiers that left
	hold    func(outward bool, p []byte) bool
}

// newLine is one whose gateway has its table and its filter: what the table lets out the filter must.
func newLine(t testing.TB, sw softwire.Softwire) *line {
	t.Helper()
	l := bareLine(t, sw)
	if err := l.table().Write(l.conn); err != nil {
		t.Fatal(err)
	}
	writeFilter(t, l.gw, egressOf("mape0", sw))
	return l
}

// bareLine is a line before the gateway has its table.
func bareLine(t testing.TB, sw softwire.Softwire) *line {
	t.Helper()
	l := &line{lan: newNS(t), gw: newNS(t), inet: newNS(t), sw: sw, seen: map[uint16]bool{}}
	l.conn = nft.OpenNS(l.gw.fd())
	for _, n := range []*ns{l.lan, l.gw, l.inet} {
		sysctl(t, n, map[string]string{
			"ipv6/conf/all/disable_ipv6": "1", "ipv4/conf/all/rp_filter": "0", "ipv4/conf/default/rp_filter": "0",
			"ipv4/ip_forward": "1", "ipv4/icmp_ratelimit": "0", "ipv4/icmp_msgs_per_sec": "1000000",
		})
	}
	veth(t, l.lan, "eth0", "192.168.1.10/24", l.gw, "eth0", "192.168.1.1/24")
	l.lan.run(t, "ip", "route", "add", "default", "via", "192.168.1.1")
	l.tunnel, l.net = tun(t, l.gw, "mape0"), tun(t, l.inet, "net0")
	l.gw.run(t, "ip", "route", "add", "default", "dev", "mape0", "scope", "link")
	for i := 1; i < 10; i++ {
		l.inet.run(t, "ip", "addr", "add", fmt.Sprintf("198.51.100.%d/32", i), "dev", "net0")
	}
	l.inet.run(t, "ip", "route", "add", "192.0.2.0/24", "dev", "net0", "src", "198.51.100.1")
	go l.carry(l.tunnel, l.net, true)
	go l.carry(l.net, l.tunnel, false)
	t.Cleanup(func() {
		l.tunnel.Close()
		l.net.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, w := range l.wrong[:min(5, len(l.wrong))] {
			t.Error(w)
		}
		t.Logf("%d packets out, %d in, %d wrong", l.out, l.in, len(l.wrong))
	})
	return l
}

func (l *line) gateway() *Gateway {
	g := gatewayOf(l.sw, 1460)
	g.Forwards, g.Inbound = l.forwards, l.inbound
	return g
}

func (l *line) table() nft.Table { return tableOf(l.gateway()) }

func sysctl(t testing.TB, n *ns, values map[string]string) {
	t.Helper()
	n.do(func() {
		for key, value := range values {
			if err := os.WriteFile("/proc/sys/net/"+key, []byte(value), 0o644); err != nil {
				t.Logf("sysctl: %v", err)
			}
		}
	})
}

// tun makes a TUN device of MTU 1460, up: like a tunnel it is point to point, without addresses of its own, and of the
// type that the table knows tunnels by.
func tun(t testing.TB, n *ns, name string) *os.File {
	t.Helper()
	var f *os.File
	n.do(func() {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		request, err := unix.NewIfreq(name)
		if err != nil {
			t.Fatal(err)
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			t.Fatalf("TUN device: %v", err)
		}
		if err := unix.IoctlSetInt(fd, unix.TUNSETLINK, unix.ARPHRD_TUNNEL6); err != nil {
			t.Fatalf("TUN device: link type: %v", err)
		}
		f = os.NewFile(uintptr(fd), name)
	})
	n.run(t, "ip", "link", "set", name, "mtu", "1460", "txqueuelen", "10000", "up")
	return f
}

// carry takes packets from one side to the other until the device is closed.
func (l *line) carry(from, to *os.File, outward bool) {
	b := make([]byte, 1<<16)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		p := b[:n]
		if n < 20 || p[0]>>4 != 4 {
			continue // not IPv4: the tunnel would not carry it
		}
		if l.pass(outward, p) {
			to.Write(p)
		}
	}
}

func (l *line) pass(outward bool, p []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if outward {
		l.out++
		if err := l.judge(p); err != nil {
			l.wrong = append(l.wrong, fmt.Sprintf("%v: %x", err, p[:min(len(p), 64)]))
			return false
		}
	} else {
		l.in++
	}
	return l.hold == nil || l.hold(outward, p)
}

// inject sends a packet to the gateway through the tunnel.
func (l *line) inject(t testing.TB, p []byte) {
	t.Helper()
	if _, err := l.tunnel.Write(p); err != nil {
		t.Fatal(err)
	}
}

// quiet waits until no packet has left for a moment, and returns how many have.
func (l *line) quiet() int {
	for last := -1; ; {
		time.Sleep(50 * time.Millisecond)
		l.mu.Lock()
		n := l.out
		l.mu.Unlock()
		if n == last {
			return n
		}
		last = n
	}
}

// set changes what happens to packets that pass.
func (l *line) set(hold func(outward bool, p []byte) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold = hold
}

// judge says what is wrong with a packet that leaves.
func (l *line) judge(p []byte) error {
	ip, body, err := split(p)
	if err != nil {
		return err
	}
	if !l.sw.IPv4.Contains(ip.src) {
		return fmt.Errorf("source %v", ip.src)
	}
	if ip.fragment {
		return nil // judged in the first one
	}
	port := uint16(0)
	switch {
	case ip.proto == 6 || ip.proto == 17:
		port = binary.BigEndian.Uint16(body)
	case ip.proto == 1 && body[0] == 8:
		port = binary.BigEndian.Uint16(body[4:])
	case ip.proto == 1 && (body[0] == 3 || body[0] == 11):
		return l.judgeQuoted(body[8:])
	default:
		return fmt.Errorf("protocol %d type %d", ip.proto, body[0])
	}
	if !l.sw.HasPort(port) || port < 1024 {
		return fmt.Errorf("port or identifier %d", port)
	}
	l.seen[port] = true
	return nil
}

func (l *line) judgeQuoted(p []byte) error {
	if len(p) < 28 {
		return errors.New("quoted packet is short")
	}
	dst, _ := netip.AddrFromSlice(p[16:20])
	port := binary.BigEndian.Uint16(p[22:])
	if p[9] == 1 {
		port = binary.BigEndian.Uint16(p[24:])
	}
	if !l.sw.IPv4.Contains(dst) || !l.sw.HasPort(port) {
		return fmt.Errorf("quoted destination %v, port %d", dst, port)
	}
	return nil
}
