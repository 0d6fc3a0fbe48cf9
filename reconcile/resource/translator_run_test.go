package resource_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/reconcile/translator"
	"mape-netplan/schema"
)

const maptServer = "203.0.113.56"

// A maptCE is a gateway with a LAN host, 192.168.0.4.
type maptCE struct {
	lan, gw *hosttest.NS
	sw      softwire.Softwire
	tr      translator.Translator
}

// A maptLine is the network of Jool's MAP-T tutorial: customer edges, a border relay, which is this process, and a server. The
// native server has an address that the DMR makes of an IPv4 address.
//
//	lan 192.168.0.4 ── gw ── wan 2001:db8:6::1 br 203.0.113.1 ── 203.0.113.56 server
//	                                            └── native
type maptLine struct {
	br, server, native *hosttest.NS
	ces                []maptCE
	br4, br6           *os.File

	mu     sync.Mutex
	wrong  []string
	later  map[string]netip.Addr // where later fragments of a datagram go, by its addresses and identification
	passed int
}

func maptSoftwire(ce, ipv4, dmr string, ports softwire.Ports) softwire.Softwire {
	return softwire.Softwire{
		Mode: softwire.MAPT, NAT: true, Inner: netip.MustParsePrefix(ipv4 + "/32"), Ports: ports,
		Carrier: softwire.Translator{Local: netip.MustParseAddr(ce), DMR: netip.MustParsePrefix(dmr)},
	}
}

func newMaptLine(t testing.TB, forwards []schema.Forward, softwires ...softwire.Softwire) *maptLine {
	t.Helper()
	hosttest.NeedBPF(t)
	l := &maptLine{br: hosttest.NewNS(t), server: hosttest.NewNS(t), native: hosttest.NewNS(t), later: map[string]netip.Addr{}}
	quick := map[string]string{"ipv6/conf/all/accept_dad": "0", "ipv6/conf/default/accept_dad": "0", "ipv4/icmp_ratelimit": "0", "ipv6/icmp/ratelimit": "0",
		"ipv4/conf/all/rp_filter": "0", "ipv4/conf/default/rp_filter": "0", "ipv4/ip_forward": "1"}
	for _, n := range []*hosttest.NS{l.br, l.server, l.native} {
		hosttest.Sysctl(t, n, quick)
	}
	hosttest.Sysctl(t, l.br, map[string]string{"ipv6/conf/all/forwarding": "1"})
	dmr := softwires[0].Carrier.FarEnd()
	native := translator.Embed(dmr, netip.MustParseAddr("203.0.113.100"))
	hosttest.Veth(t, l.br, "net", "203.0.113.1/24", l.server, "net", maptServer+"/24")
	hosttest.Veth(t, l.br, "native", "2001:db8:7::1/64", l.native, "native", "2001:db8:7::2/64")
	l.server.Exec(t, "ip", "route", "add", "default", "via", "203.0.113.1")
	l.br4, l.br6 = hosttest.Tun(t, l.br, "br4"), hosttest.Tun(t, l.br, "br6")
	l.br.Exec(t, "sh", "-ec", fmt.Sprintf(`ip link set br4 mtu 1472; ip link set br6 mtu 1500; ip address add 192.0.2.254/32 dev br4
		ip -6 route add %s dev br6; ip -6 route add %s via 2001:db8:7::2
		ip link add wan type bridge; ip address add 2001:db8:6::1/64 dev wan; ip link set wan up`, dmr, native))
	l.native.Exec(t, "sh", "-ec", fmt.Sprintf("ip address add %s/128 dev lo nodad; ip -6 route add default via 2001:db8:7::1 src %s", native, native))
	for i, sw := range softwires {
		ce := maptCE{lan: hosttest.NewNS(t), gw: hosttest.NewNS(t), sw: sw, tr: resource.TranslatorOf("mape0", "wan", 0, sw).Values}
		l.ces = append(l.ces, ce)
		for _, n := range []*hosttest.NS{ce.lan, ce.gw} {
			hosttest.Sysctl(t, n, quick)
		}
		port, local := fmt.Sprintf("ce%d", i), fmt.Sprintf("2001:db8:6::1%d", i)
		hosttest.Veth(t, ce.lan, "eth0", "192.168.0.4/24", ce.gw, "eth0", "192.168.0.1/24")
		hosttest.Veth(t, ce.gw, "wan", local+"/64", l.br, port, "")
		ce.lan.Exec(t, "ip", "route", "add", "default", "via", "192.168.0.1")
		l.br.Exec(t, "sh", "-ec", fmt.Sprintf("ip link set %s master wan; ip -6 route add %s/64 via %s; ip route add %s dev br4", port, netip.PrefixFrom(sw.CE(), 64).Masked().Addr(), local, sw.Inner))
		tun := hosttest.Tun(t, ce.gw, "mape0")
		t.Cleanup(func() { tun.Close() })
		ce.gw.Exec(t, "sh", "-ec", fmt.Sprintf(`ip link set mape0 mtu 1472; ip route add default dev mape0 scope link
			ip address add %s/128 dev wan nodad; ip -6 route add default via 2001:db8:6::1`, sw.CE()))
		g := gatewaytest.GatewayOf(sw, 1472)
		g.Forwards = forwards
		if err := gatewaytest.TableOf(g).Write(nft.OpenNS(ce.gw.FD())); err != nil {
			t.Fatal(err)
		}
		gatewaytest.WriteFilter(t, ce.gw, gatewaytest.EgressOf(sw))
		ce.write(t, resource.TranslatorOf("mape0", "wan", 1500, sw))
	}
	go l.relay(l.br6, func(p []byte) { l.up(p) })
	go l.relay(l.br4, func(p []byte) { l.down(p) })
	t.Cleanup(func() {
		l.br4.Close()
		l.br6.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, w := range l.wrong[:min(5, len(l.wrong))] {
			t.Error(w)
		}
	})
	return l
}

// write makes the translator of the gateway this one.
func (ce maptCE) write(t testing.TB, r resource.Translator) {
	t.Helper()
	handle, err := netlink.NewHandleAt(netns.NsHandle(ce.gw.FD()), unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close()
	h := &host.Host{Net: handle, NS: ce.gw.FD()}
	if err := r.Write(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if changes, err := engine.Plan(t.Context(), h, []engine.Resource{r}); err != nil || len(changes) > 0 {
		t.Fatalf("after it is written a plan has %q, %v", hosttest.Names(changes), err)
	}
}

func (l *maptLine) relay(from *os.File, each func([]byte)) {
	b := make([]byte, 1<<16)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		l.mu.Lock()
		each(b[:n])
		l.mu.Unlock()
	}
}

// portOf is the port of the CE in an IPv4 packet, or in the one that it quotes; ok is false for a later fragment.
func portOf(p []byte, fromCE bool) (port uint16, ok bool) {
	if len(p) < 28 || binary.BigEndian.Uint16(p[6:])&0x1fff != 0 {
		return 0, false
	}
	head := int(p[0]&15) * 4
	if p[9] == 1 && p[head] != 0 && p[head] != 8 {
		return portOf(p[head+8:], !fromCE)
	}
	at := head + 2
	if p[9] == 1 {
		at = head + 4
	} else if fromCE {
		at = head
	}
	return binary.BigEndian.Uint16(p[at:]), true
}

// up judges what comes from a CE: the address must be the one that has the IPv4 address and the port.
func (l *maptLine) up(p []byte) {
	if len(p) < 40 {
		return
	}
	src := netip.AddrFrom16([16]byte(p[8:]))
	if !src.IsGlobalUnicast() {
		return // the device's own router solicitations and reports
	}
	for _, ce := range l.ces {
		if ce.tr.CE != src {
			continue
		}
		q, verdict := ce.tr.FromCE(p, 0)
		if port, ok := portOf(q, true); verdict != translator.Translated || ok && !ce.sw.Ports.Has(port) {
			l.wrong = append(l.wrong, fmt.Sprintf("from %s, port %d: %v: %x", src, port, verdict, p[:min(len(p), 100)]))
			return
		}
		l.passed++
		l.br4.Write(q)
		return
	}
	l.wrong = append(l.wrong, fmt.Sprintf("from %s: %x", src, p[:min(len(p), 100)]))
}

// down sends to the CE that has the address and the port.
func (l *maptLine) down(p []byte) {
	if p[0]>>4 != 4 {
		return
	}
	key := string(p[12:20]) + string(p[4:6])
	port, first := portOf(p, false)
	for _, ce := range l.ces {
		if ce.tr.IPv4 != netip.AddrFrom4([4]byte(p[16:])) || first && !ce.sw.Ports.Has(port) || !first && l.later[key] != ce.tr.CE {
			continue
		}
		if binary.BigEndian.Uint16(p[6:])&0x2000 != 0 {
			l.later[key] = ce.tr.CE
		}
		if q, verdict := ce.tr.ToCE(p); verdict == translator.Translated {
			l.br6.Write(q)
		}
		return
	}
}

// TestMAPT has two customer edges of the tutorial's network, and one of Bouygues Telecom's shape: everything that people do
// passes, and the relay finds nothing wrong in what leaves.
func TestMAPT(t *testing.T) {
	for _, test := range []struct {
		name      string
		softwires []softwire.Softwire
	}{
		{"jool", []softwire.Softwire{
			maptSoftwire("2001:db8:ce:11b:0:c000:208:1b", "192.0.2.8", "64:ff9b::/96", softwire.Ports{PSID: 27, PSIDLen: 5}),
			maptSoftwire("2001:db8:ce:774:0:c000:23b:14", "192.0.2.59", "64:ff9b::/96", softwire.Ports{PSID: 20, PSIDLen: 5}),
		}},
		{"bouygues", []softwire.Softwire{
			maptSoftwire("2001:db8:a00a:bc00:0:c633:6557:4", "198.51.101.87", "2001:db8:ffff::/64", softwire.Ports{PSID: 4, PSIDLen: 3}),
		}},
		{"offset 6, whole /32", []softwire.Softwire{
			maptSoftwire("2001:db8:12:3400:0:c000:212:34", "192.0.2.18", "3fff:1::/32", softwire.Ports{PSID: 52, PSIDLen: 8, PSIDOffset: 6}),
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			first := test.softwires[0].Ports.Ranges()[0].First
			forward := []schema.Forward{{Protocol: "both", Ports: []schema.PortRange{{First: first + 3, Last: first + 3}}, To: netip.MustParseAddrPort("192.168.0.4:80")}}
			l := newMaptLine(t, forward, test.softwires...)
			echo(t, l.server, 7)
			for i, ce := range l.ces {
				l.trial(t, ce)
				if i > 0 {
					continue // whose set has not the forwarded port
				}
				gatewaytest.Say(t, ce.lan, "lan", 80)
				for _, protocol := range []string{"tcp", "udp"} {
					to := netip.AddrPortFrom(ce.tr.IPv4, first+3).String()
					if got := gatewaytest.Hear(t, l.server, protocol, to, gatewaytest.Limit); !strings.HasPrefix(got, "lan:80 203.0.113.56:") {
						t.Errorf("the forward of %s answers %q over %s", to, got, protocol)
					}
					out := netip.AddrPortFrom(ce.tr.IPv4, first-1).String()
					if got := gatewaytest.Hear(t, l.server, protocol, out, gatewaytest.Silence); got != "" {
						t.Errorf("%s, which is not of the set, answers %q", out, got)
					}
				}
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.passed < 50 {
				t.Errorf("the relay has seen %d packets", l.passed)
			}
		})
	}
}

// trial is what a host behind a CE does.
func (l *maptLine) trial(t *testing.T, ce maptCE) {
	t.Helper()
	for _, size := range []string{"56", "1444"} { // 1472 bytes with headers
		if out, err := ce.lan.Try("ping", "-c", "3", "-i", "0.1", "-W", "10", "-M", "do", "-s", size, maptServer); err != nil {
			t.Errorf("ping of %s bytes: %v\n%s", size, err, out)
		}
	}
	if out, err := ce.lan.Try("ping", "-c", "1", "-W", "10", "-M", "do", "-s", "1445", maptServer); err == nil || !strings.Contains(out, "1472") {
		t.Errorf("ping of 1445 bytes: %v\n%s", err, out)
	}
	out := ce.lan.Exec(t, "traceroute", "-n", "-q", "1", "-w", "10", maptServer)
	for i, hop := range []string{" 1  192.168.0.1 ", " 2  192.0.0.8 ", " 3  192.0.2.254 ", " 4  " + maptServer + " "} {
		if !strings.Contains(out, hop) {
			t.Errorf("hop %d is not %s in\n%s", i+1, hop, out)
		}
	}
	for _, size := range []int{0, 10, 1400, 3000, 9000} {
		payload := bytes.Repeat([]byte("mape"), size/4)
		if got := exchange(t, ce.lan, "udp", maptServer+":7", payload); !bytes.Equal(got, payload) {
			t.Errorf("of %d bytes over UDP came back %d", len(payload), len(got))
		}
	}
	payload := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	if got := exchange(t, ce.lan, "tcp", maptServer+":7", payload); !bytes.Equal(got, payload) {
		t.Errorf("of %d bytes over TCP came back %d", len(payload), len(got))
	}
	ce.lan.Do(func() {
		c, err := net.Dial("udp4", maptServer+":9")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(gatewaytest.Limit))
		c.Write([]byte("x"))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("a closed port of the server answers %v", err)
		}
	})
}

// echo sends back what comes, on a UDP and a TCP port.
func echo(t testing.TB, n *hosttest.NS, port int) {
	t.Helper()
	n.Do(func() {
		packets, err := net.ListenPacket("udp", fmt.Sprint(":", port))
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", fmt.Sprint(":", port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { packets.Close(); listener.Close() })
		go func() {
			b := make([]byte, 1<<16)
			for {
				n, from, err := packets.ReadFrom(b)
				if err != nil {
					return
				}
				packets.WriteTo(b[:n], from)
			}
		}()
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					io.Copy(c, c)
				}()
			}
		}()
	})
}

// exchange sends, and returns as much of what comes back.
func exchange(t testing.TB, from *hosttest.NS, protocol, to string, payload []byte) (got []byte) {
	t.Helper()
	from.Do(func() {
		c, err := net.DialTimeout(protocol, to, gatewaytest.Limit)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(gatewaytest.Limit))
		go c.Write(payload)
		got = make([]byte, len(payload))
		if protocol == "udp" {
			n, err := c.Read(got)
			if err != nil {
				t.Errorf("%d bytes over UDP: %v", len(payload), err)
			}
			got = got[:n]
			return
		}
		n, err := io.ReadFull(c, got)
		if err != nil {
			t.Errorf("%d bytes over TCP: %v", len(payload), err)
		}
		got = got[:n]
	})
	return got
}

// TestMAPTNative talks to a server that has IPv6 alone, without a relay between: segments stay as large as the sender's, and
// their checksums are left for hardware to fill in.
func TestMAPTNative(t *testing.T) {
	t.Parallel()
	l := newMaptLine(t, nil, maptSoftwire("2001:db8:ce:11b:0:c000:208:1b", "192.0.2.8", "64:ff9b::/96", softwire.Ports{PSID: 27, PSIDLen: 5}))
	echo(t, l.native, 7)
	payload := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	if got := exchange(t, l.ces[0].lan, "tcp", "203.0.113.100:7", payload); !bytes.Equal(got, payload) {
		t.Errorf("of %d bytes came back %d", len(payload), len(got))
	}
	if got := exchange(t, l.ces[0].lan, "udp", "203.0.113.100:7", payload[:3000]); !bytes.Equal(got, payload[:3000]) {
		t.Errorf("of 3000 bytes came back %d", len(got))
	}
	// A router that carries less says so, in IPv6.
	l.br.Exec(t, "ip", "-6", "route", "change", "64:ff9b::cb00:7164", "via", "2001:db8:7::2", "mtu", "1400")
	if out, err := l.ces[0].lan.Try("ping", "-c", "1", "-W", "10", "-M", "do", "-s", "1400", "203.0.113.100"); err == nil || !strings.Contains(out, "mtu = 1380") {
		t.Errorf("ping through a narrow link: %v\n%s", err, out)
	}
	if got := exchange(t, l.ces[0].lan, "tcp", "203.0.113.100:7", payload); !bytes.Equal(got, payload) {
		t.Errorf("of %d bytes through a narrow link came back %d", len(payload), len(got))
	}
}

// BenchmarkMAPT is TCP from and to a host of the LAN, through NAT and translation, and through the masquerading of plain IPv4
// over the same devices.
func BenchmarkMAPT(b *testing.B) {
	l := newMaptLine(b, nil, maptSoftwire("2001:db8:ce:11b:0:c000:208:1b", "192.0.2.8", "64:ff9b::/96", softwire.Ports{PSID: 27, PSIDLen: 5}))
	ce := l.ces[0]
	ce.gw.Exec(b, "sh", "-ec", `ip address add 10.6.0.2/24 dev wan; ip route add 203.0.113.101 via 10.6.0.1
		nft 'add table ip plain; add chain ip plain p { type nat hook postrouting priority 100; }; add rule ip plain p oifname wan masquerade'`)
	l.br.Exec(b, "sh", "-ec", "ip address add 10.6.0.1/24 dev wan; ip address add 10.7.0.1/24 dev native; ip route add 203.0.113.101 via 10.7.0.2")
	l.native.Exec(b, "sh", "-ec", "ip address add 10.7.0.2/24 dev native; ip address add 203.0.113.101 dev lo; ip route add default via 10.7.0.1")
	const size = 64 << 20
	l.native.Do(func() {
		listener, err := net.Listen("tcp", ":8")
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { listener.Close() })
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					way := make([]byte, 1)
					if c.Read(way); way[0] == 'd' {
						io.CopyN(c, zeros{}, size)
						return
					}
					io.CopyN(io.Discard, c, size)
					c.Write(way)
				}()
			}
		}()
	})
	for _, way := range []string{"down", "up"} {
		for _, path := range [][2]string{{"plain", "203.0.113.101:8"}, {"map-t", "203.0.113.100:8"}} {
			b.Run(way+"/"+path[0], func(b *testing.B) {
				b.SetBytes(size)
				for b.Loop() {
					ce.lan.Do(func() {
						c, err := net.Dial("tcp4", path[1])
						if err != nil {
							b.Fatal(err)
						}
						defer c.Close()
						c.Write([]byte(way[:1]))
						if way == "up" {
							io.CopyN(c, zeros{}, size)
							_, err = io.ReadFull(c, make([]byte, 1))
						} else {
							_, err = io.CopyN(io.Discard, c, size)
						}
						if err != nil {
							b.Fatal(err)
						}
					})
				}
			})
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }
