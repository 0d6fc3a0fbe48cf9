package gatewaytest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// WriteFilter makes the filter of a namespace's tunnel this one.
func WriteFilter(t testing.TB, n *hosttest.NS, e resource.Egress) {
	t.Helper()
	handle, err := netlink.NewHandleAt(netns.NsHandle(n.FD()), unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close()
	h := &host.Host{Net: handle, NS: n.FD()}
	err = e.Write(t.Context(), h)
	link, _ := kernel.LinkByName(h, e.Link)
	if kernel.Lacking(err) || link != nil && errors.Is(kernel.Barred(h, link.Attrs().Index), kernel.ErrNoBPF) {
		hosttest.Unable(t, "needs a kernel with sch_ingress and cls_bpf")
	} else if err != nil {
		t.Fatal(err)
	}
	if live, err := e.Read(t.Context(), h); err != nil || live.Text() != e.Text() {
		t.Fatalf("the filter is %v, %v", live, err)
	}
}

// A Rig is a LAN host, a gateway and the IPv4 internet, three namespaces. Between the gateway and the internet is this
// process: it holds a TUN device in each and carries and judges every packet, as a border relay does.
//
//	lan 192.168.1.10 ── 192.168.1.1 gw mape0 ── judge ── net0 198.51.100.1…9 inet
type Rig struct {
	Lan, Gw, Inet *hosttest.NS
	Conn          *nft.Conn
	Sw            softwire.Softwire
	Forwards      []schema.Forward
	Inbound       string
	Tunnel, net   *os.File

	Mu      sync.Mutex
	out, in int             // packets carried
	Wrong   []string        // what left that must not
	Seen    map[uint16]bool // source ports and echo identifiers that left
	hold    func(outward bool, p []byte) bool
}

// NewRig is one whose gateway has its table and its filter: what the table lets out the filter must.
func NewRig(t testing.TB, sw softwire.Softwire) *Rig {
	t.Helper()
	l := BareRig(t, sw)
	if err := l.Table().Write(l.Conn); err != nil {
		t.Fatal(err)
	}
	WriteFilter(t, l.Gw, EgressOf(sw))
	return l
}

// BareRig is a line before the gateway has its table.
func BareRig(t testing.TB, sw softwire.Softwire) *Rig {
	t.Helper()
	l := &Rig{Lan: hosttest.NewNS(t), Gw: hosttest.NewNS(t), Inet: hosttest.NewNS(t), Sw: sw, Seen: map[uint16]bool{}}
	l.Conn = nft.OpenNS(l.Gw.FD())
	for _, n := range []*hosttest.NS{l.Lan, l.Gw, l.Inet} {
		hosttest.Sysctl(t, n, map[string]string{
			"ipv6/conf/all/disable_ipv6": "1", "ipv4/conf/all/rp_filter": "0", "ipv4/conf/default/rp_filter": "0",
			"ipv4/ip_forward": "1", "ipv4/icmp_ratelimit": "0", "ipv4/icmp_msgs_per_sec": "1000000",
		})
	}
	hosttest.Veth(t, l.Lan, "eth0", "192.168.1.10/24", l.Gw, "eth0", "192.168.1.1/24")
	l.Lan.Exec(t, "ip", "route", "add", "default", "via", "192.168.1.1")
	l.Tunnel, l.net = hosttest.Tun(t, l.Gw, "mape0"), hosttest.Tun(t, l.Inet, "net0")
	l.Gw.Exec(t, "ip", "route", "add", "default", "dev", "mape0", "scope", "link")
	for i := 1; i < 10; i++ {
		l.Inet.Exec(t, "ip", "addr", "add", fmt.Sprintf("198.51.100.%d/32", i), "dev", "net0")
	}
	l.Inet.Exec(t, "ip", "route", "add", "192.0.2.0/24", "dev", "net0", "src", "198.51.100.1")
	go l.carry(l.Tunnel, l.net, true)
	go l.carry(l.net, l.Tunnel, false)
	t.Cleanup(func() {
		l.Tunnel.Close()
		l.net.Close()
		l.Mu.Lock()
		defer l.Mu.Unlock()
		for _, w := range l.Wrong[:min(5, len(l.Wrong))] {
			t.Error(w)
		}
		t.Logf("%d packets out, %d in, %d wrong", l.out, l.in, len(l.Wrong))
	})
	return l
}

func (l *Rig) Gateway() *gateway.Gateway {
	g := GatewayOf(l.Sw, 1460)
	g.Forwards, g.Inbound = l.Forwards, l.Inbound
	return g
}

func (l *Rig) Table() nft.Table { return TableOf(l.Gateway()) }

// carry takes packets from one side to the other until the device is closed.
func (l *Rig) carry(from, to *os.File, outward bool) {
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

func (l *Rig) pass(outward bool, p []byte) bool {
	l.Mu.Lock()
	defer l.Mu.Unlock()
	if outward {
		l.out++
		if err := l.judge(p); err != nil {
			l.Wrong = append(l.Wrong, fmt.Sprintf("%v: %x", err, p[:min(len(p), 64)]))
			return false
		}
	} else {
		l.in++
	}
	return l.hold == nil || l.hold(outward, p)
}

// Inject sends a packet to the gateway through the tunnel.
func (l *Rig) Inject(t testing.TB, p []byte) {
	t.Helper()
	if _, err := l.Tunnel.Write(p); err != nil {
		t.Fatal(err)
	}
}

// Quiet waits until no packet has left for a moment, and returns how many have.
func (l *Rig) Quiet() int {
	for last := -1; ; {
		time.Sleep(50 * time.Millisecond)
		l.Mu.Lock()
		n := l.out
		l.Mu.Unlock()
		if n == last {
			return n
		}
		last = n
	}
}

// Set changes what happens to packets that pass.
func (l *Rig) Set(hold func(outward bool, p []byte) bool) {
	l.Mu.Lock()
	defer l.Mu.Unlock()
	l.hold = hold
}

// judge says what is wrong with a packet that leaves.
func (l *Rig) judge(p []byte) error {
	ip, body, err := hosttest.Split(p)
	if err != nil {
		return err
	}
	if !l.Sw.Inner.Contains(ip.Src) {
		return fmt.Errorf("source %v", ip.Src)
	}
	if slices.ContainsFunc(nat.SpecialPurpose, func(p netip.Prefix) bool { return p.Contains(ip.Dst) }) {
		return fmt.Errorf("destination %v", ip.Dst)
	}
	if ip.Fragment {
		return nil // judged in the first one
	}
	port := uint16(0)
	switch {
	case ip.Proto == 6 || ip.Proto == 17:
		port = binary.BigEndian.Uint16(body)
	case ip.Proto == 1 && body[0] == 8:
		port = binary.BigEndian.Uint16(body[4:])
	case ip.Proto == 1 && (body[0] == 3 || body[0] == 11):
		return l.judgeQuoted(body[8:])
	default:
		return fmt.Errorf("protocol %d type %d", ip.Proto, body[0])
	}
	if !l.Sw.Ports.Has(port) || port < 1024 {
		return fmt.Errorf("port or identifier %d", port)
	}
	l.Seen[port] = true
	return nil
}

func (l *Rig) judgeQuoted(p []byte) error {
	if len(p) < 28 {
		return errors.New("quoted packet is short")
	}
	dst, _ := netip.AddrFromSlice(p[16:20])
	port := binary.BigEndian.Uint16(p[22:])
	if p[9] == 1 {
		port = binary.BigEndian.Uint16(p[24:])
	}
	if !l.Sw.Inner.Contains(dst) || !l.Sw.Ports.Has(port) {
		return fmt.Errorf("quoted destination %v, port %d", dst, port)
	}
	return nil
}
