package nat_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables/expr"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nft"
	"mape-netplan/schema"
)

// TestTimeouts: a connection is forgotten when the section says, one to a resolver sooner; connections that do not pass
// the tunnel are as the machine has them, and a table written again changes no living connection.
func TestTimeouts(t *testing.T) {
	hosttest.NeedTool(t, "conntrack")
	l := gatewaytest.NewRig(t, gatewaytest.NatKinds["ocn"])
	l.ServeTCP(t)
	l.ServeUDP(t)
	c, err := gatewaytest.Dial(l.Lan, gatewaytest.Server+":80", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func(to string) {
		gatewaytest.Sockets(t, l.Lan, 1)[0].WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(to))
	}
	send(gatewaytest.Server + ":53")
	send(gatewaytest.Server + ":4500")
	gatewaytest.Say(t, l.Gw, "gw", 4501)
	send("192.168.1.1:4501")
	time.Sleep(50 * time.Millisecond)
	check := func() {
		t.Helper()
		for port, most := range map[string]int{"80": 7440, "53": 10, "4500": 120, "4501": 30} {
			if left := timeLeft(t, l.Gw, " dport="+port+" "); left > most || left < most-5 {
				t.Errorf("port %s: %d s left, not %d", port, left, most)
			}
		}
	}
	check()
	if err := l.Table().Write(l.Conn); err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("x"))
	c.SetReadDeadline(time.Now().Add(2 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	check()
}

// timeLeft is how many seconds the first connection with all these words may still be idle.
func timeLeft(t *testing.T, n *hosttest.NS, words ...string) int {
	t.Helper()
	all := n.Exec(t, "conntrack", "-L")
	for line := range strings.Lines(all) {
		if slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			continue
		}
		left, err := strconv.Atoi(strings.Fields(line)[2])
		if err != nil {
			t.Fatal(line)
		}
		return left
	}
	t.Fatalf("no connection with %q in\n%s", words, all)
	return 0
}

// TestTimes: each time of the section holds for what it is for, whether the LAN, the gateway or the internet opened the
// connection, and whichever of two statements the kernel heeds. Where one connection meets two "ct timeout set", that is
// the last with Linux 6.1 and 6.18 and the first with 6.12 and 7.2: so they are tried in either order.
func TestTimes(t *testing.T) {
	hosttest.NeedTool(t, "conntrack")
	for name, order := range map[string]func(*nft.Table){"in order": func(*nft.Table) {}, "turned round": turnTimeouts} {
		t.Run(name, func(t *testing.T) {
			l := gatewaytest.BareRig(t, gatewaytest.NatKinds["ocn"])
			l.Forwards = gatewaytest.ForwardsOf(l.Sw)
			g := l.Gateway()
			// Far enough apart that a slow machine does not take one for another.
			g.Conntrack = schema.Conntrack{TCPEstablished: 3 * time.Hour, TCPTransitory: 8 * time.Minute, TCPTimeWait: 4 * time.Minute, UDP: 6 * time.Minute, DNS: time.Minute}
			table := gatewaytest.TableOf(g)
			order(&table)
			if err := table.Write(l.Conn); err != nil {
				t.Fatal(err)
			}
			l.ServeTCP(t)
			l.ServeUDP(t)
			gatewaytest.Say(t, l.Inet, "resolver", 53)
			gatewaytest.Say(t, l.Lan, "lan", 22)
			l.Set(func(outward bool, p []byte) bool {
				return !outward || p[9] != 6 || binary.BigEndian.Uint16(p[22:]) != 81
			})
			for address, from := range map[string]*hosttest.NS{"192.168.1.10": l.Lan, "192.168.1.1": l.Gw} {
				timesFrom(l, t, from, address)
			}
			for protocol, seconds := range map[string]int{"udp": 120, "tcp": 240} {
				to := netip.AddrPortFrom(l.Sw.IPv4.Addr(), l.Forwards[0].Ports[0].First)
				if gatewaytest.Hear(t, l.Inet, protocol, to.String()) == "" {
					t.Errorf("%s: no answer from the forwarded port", protocol)
				}
				l.Quiet()
				lasts(t, l.Gw, seconds, protocol, "dst=192.0.2.18 ", "src=192.168.1.10 dst=198.51.100.1 sport=22 ")
			}
		})
	}
}

// timesFrom opens a connection for each time of the section. Nothing answers on port 81.
func timesFrom(l *gatewaytest.Rig, t *testing.T, from *hosttest.NS, address string) {
	t.Helper()
	src := "src=" + address + " "
	udp := gatewaytest.Sockets(t, from, 1)[0]
	for range 2 {
		for _, port := range []uint16{53, 3478, 4500} {
			udp.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(netip.MustParseAddr(gatewaytest.Server), port))
		}
		time.Sleep(2500 * time.Millisecond) // for the kernel to take what is answered for a stream
	}
	open, err := gatewaytest.Dial(from, gatewaytest.Server+":80", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	closed, err := gatewaytest.Dial(from, "198.51.100.2:80", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if c, err := gatewaytest.Dial(from, gatewaytest.Server+":81", 500*time.Millisecond); err == nil {
		c.Close()
		t.Error("the silent port answers")
	}
	from.Exec(t, "ping", "-c1", "-W2", gatewaytest.Server)
	l.Quiet()
	lasts(t, l.Gw, 3*60*60, "ESTABLISHED", src, "dport=80 ")
	lasts(t, l.Gw, 8*60, "SYN_SENT", src, "dport=81 ")
	lasts(t, l.Gw, 4*60, "TIME_WAIT", src, "dport=80 ")
	lasts(t, l.Gw, 6*60, "udp", src, "dport=3478 ")
	lasts(t, l.Gw, 2*60, "udp", src, "dport=4500 ")
	lasts(t, l.Gw, 60, "udp", src, "dport=53 ")
	lasts(t, l.Gw, 30, "icmp", src)
}

func lasts(t *testing.T, n *hosttest.NS, seconds int, words ...string) {
	t.Helper()
	if left := timeLeft(t, n, words...); left > seconds || left < seconds-30 {
		t.Errorf("%q: %d s left, not %d", words, left, seconds)
	}
}

// turnTimeouts turns the rules of each chain round that do no more than set a timeout.
func turnTimeouts(table *nft.Table) {
	for i := range table.Chains {
		rules := slices.Clone(table.Chains[i].Rules)
		var at []int
		for j, r := range rules {
			if _, ok := r[len(r)-1].(*expr.Objref); ok {
				at = append(at, j)
			}
		}
		for j, k := range at {
			table.Chains[i].Rules[k] = rules[at[len(at)-1-j]]
		}
	}
}

// TestDNSStorm: sockets that each ask a resolver once take the ports of the set, and give them back after the section's
// time for DNS. The deadline is half of what UDP has.
func TestDNSStorm(t *testing.T) {
	hosttest.NeedTool(t, "conntrack")
	l := gatewaytest.NewRig(t, gatewaytest.NatKinds["ocn"])
	storm := func() {
		l.Lan.Do(func() {
			for port := range 2000 {
				c, err := net.ListenUDP("udp4", &net.UDPAddr{Port: 20000 + port})
				if err != nil {
					t.Fatal(err)
				}
				c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(gatewaytest.Server+":53"))
				c.Close()
			}
		})
		l.Quiet()
	}
	storm()
	if n := len(asked(l, t)); n < l.Sw.PortCount()*95/100 {
		t.Fatalf("only %d ports are taken", n)
	}
	for _, left := range asked(l, t) {
		if left > 10 {
			t.Fatalf("a question is remembered for %d s", left)
		}
	}
	for deadline := time.Now().Add(time.Minute); len(asked(l, t)) > 0; time.Sleep(500 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d ports are still taken", len(asked(l, t)))
		}
	}
	storm()
	if n := len(asked(l, t)); n < l.Sw.PortCount()*95/100 {
		t.Errorf("only %d ports can be taken again", n)
	}
}

// asked are the seconds that each question to a resolver is still remembered.
func asked(l *gatewaytest.Rig, t *testing.T) (left []int) {
	t.Helper()
	for line := range strings.Lines(l.Gw.Exec(t, "conntrack", "-L", "-p", "udp", "--dport", "53")) {
		if f := strings.Fields(line); strings.HasPrefix(line, "udp ") {
			seconds, err := strconv.Atoi(f[2])
			if err != nil {
				t.Fatal(line)
			}
			left = append(left, seconds)
		}
	}
	return left
}

// TestTimeWait: a closed connection's port is free after the time that the section gives.
func TestTimeWait(t *testing.T) {
	hosttest.NeedTool(t, "conntrack")
	l := gatewaytest.BareRig(t, gatewaytest.NatKinds["ocn"])
	g := l.Gateway()
	g.Conntrack = schema.Conntrack{TCPEstablished: time.Hour, TCPTransitory: time.Hour, TCPTimeWait: 2 * time.Second, UDP: time.Hour, DNS: time.Hour}
	if err := gatewaytest.TableOf(g).Write(l.Conn); err != nil {
		t.Fatal(err)
	}
	l.ServeTCP(t)
	c, err := gatewaytest.Dial(l.Lan, gatewaytest.Server+":80", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).Close()
	for deadline := time.Now().Add(10 * time.Second); strings.Contains(l.Gw.Exec(t, "conntrack", "-L"), "dport=80"); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(l.Gw.Exec(t, "conntrack", "-L"))
		}
	}
}
