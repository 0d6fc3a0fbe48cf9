package reconcile

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

	"mape-netplan/reconcile/nft"
	"mape-netplan/schema"
)

// TestTimeouts: a connection is forgotten when the section says, one to a resolver sooner; connections that do not pass
// the tunnel are as the machine has them, and a table written again changes no living connection.
func TestTimeouts(t *testing.T) {
	needTool(t, "conntrack")
	l := newLine(t, natKinds["ocn"])
	l.serveTCP(t)
	l.serveUDP(t)
	c, err := dial(l.lan, server+":80", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func(to string) {
		sockets(t, l.lan, 1)[0].WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(to))
	}
	send(server + ":53")
	send(server + ":4500")
	say(t, l.gw, "gw", 4501)
	send("192.168.1.1:4501")
	time.Sleep(50 * time.Millisecond)
	check := func() {
		t.Helper()
		for port, most := range map[string]int{"80": 7440, "53": 10, "4500": 120, "4501": 30} {
			if left := timeLeft(t, l.gw, " dport="+port+" "); left > most || left < most-5 {
				t.Errorf("port %s: %d s left, not %d", port, left, most)
			}
		}
	}
	check()
	if err := l.table().Write(l.conn); err != nil {
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
func timeLeft(t *testing.T, n *ns, words ...string) int {
	t.Helper()
	all := n.run(t, "conntrack", "-L")
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
	needTool(t, "conntrack")
	for name, order := range map[string]func(*nft.Table){"in order": func(*nft.Table) {}, "turned round": turnTimeouts} {
		t.Run(name, func(t *testing.T) {
			l := bareLine(t, natKinds["ocn"])
			l.forwards = forwardsOf(l.sw)
			g := l.gateway()
			// Far enough apart that a slow machine does not take one for another.
			g.Conntrack = schema.Conntrack{TCPEstablished: 3 * time.Hour, TCPTransitory: 8 * time.Minute, TCPTimeWait: 4 * time.Minute, UDP: 6 * time.Minute, DNS: time.Minute}
			table := tableOf(g)
			order(&table)
			if err := table.Write(l.conn); err != nil {
				t.Fatal(err)
			}
			l.serveTCP(t)
			l.serveUDP(t)
			say(t, l.inet, "resolver", 53)
			say(t, l.lan, "lan", 22)
			l.set(func(outward bool, p []byte) bool {
				return !outward || p[9] != 6 || binary.BigEndian.Uint16(p[22:]) != 81
			})
			for address, from := range map[string]*ns{"192.168.1.10": l.lan, "192.168.1.1": l.gw} {
				l.timesFrom(t, from, address)
			}
			for protocol, seconds := range map[string]int{"udp": 120, "tcp": 240} {
				to := netip.AddrPortFrom(l.sw.IPv4.Addr(), l.forwards[0].Ports[0].First)
				if hear(t, l.inet, protocol, to.String()) == "" {
					t.Errorf("%s: no answer from the forwarded port", protocol)
				}
				l.quiet()
				lasts(t, l.gw, seconds, protocol, "dst=192.0.2.18 ", "src=192.168.1.10 dst=198.51.100.1 sport=22 ")
			}
		})
	}
}

// timesFrom opens a connection for each time of the section. Nothing answers on port 81.
func (l *line) timesFrom(t *testing.T, from *ns, address string) {
	t.Helper()
	src := "src=" + address + " "
	udp := sockets(t, from, 1)[0]
	for range 2 {
		for _, port := range []uint16{53, 3478, 4500} {
			udp.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(netip.MustParseAddr(server), port))
		}
		time.Sleep(2500 * time.Millisecond) // for the kernel to take what is answered for a stream
	}
	open, err := dial(from, server+":80", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	closed, err := dial(from, "198.51.100.2:80", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if c, err := dial(from, server+":81", 500*time.Millisecond); err == nil {
		c.Close()
		t.Error("the silent port answers")
	}
	from.run(t, "ping", "-c1", "-W2", server)
	l.quiet()
	lasts(t, l.gw, 3*60*60, "ESTABLISHED", src, "dport=80 ")
	lasts(t, l.gw, 8*60, "SYN_SENT", src, "dport=81 ")
	lasts(t, l.gw, 4*60, "TIME_WAIT", src, "dport=80 ")
	lasts(t, l.gw, 6*60, "udp", src, "dport=3478 ")
	lasts(t, l.gw, 2*60, "udp", src, "dport=4500 ")
	lasts(t, l.gw, 60, "udp", src, "dport=53 ")
	lasts(t, l.gw, 30, "icmp", src)
}

func lasts(t *testing.T, n *ns, seconds int, words ...string) {
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
	needTool(t, "conntrack")
	l := newLine(t, natKinds["ocn"])
	storm := func() {
		l.lan.do(func() {
			for port := range 2000 {
				c, err := net.ListenUDP("udp4", &net.UDPAddr{Port: 20000 + port})
				if err != nil {
					t.Fatal(err)
				}
				c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(server+":53"))
				c.Close()
			}
		})
		l.quiet()
	}
	storm()
	if n := len(l.asked(t)); n < l.sw.PortCount()*95/100 {
		t.Fatalf("only %d ports are taken", n)
	}
	for _, left := range l.asked(t) {
		if left > 10 {
			t.Fatalf("a question is remembered for %d s", left)
		}
	}
	for deadline := time.Now().Add(time.Minute); len(l.asked(t)) > 0; time.Sleep(500 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d ports are still taken", len(l.asked(t)))
		}
	}
	storm()
	if n := len(l.asked(t)); n < l.sw.PortCount()*95/100 {
		t.Errorf("only %d ports can be taken again", n)
	}
}

// asked are the seconds that each question to a resolver is still remembered.
func (l *line) asked(t *testing.T) (left []int) {
	t.Helper()
	for line := range strings.Lines(l.gw.run(t, "conntrack", "-L", "-p", "udp", "--dport", "53")) {
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
	needTool(t, "conntrack")
	l := bareLine(t, natKinds["ocn"])
	g := l.gateway()
	g.Conntrack = schema.Conntrack{TCPEstablished: time.Hour, TCPTransitory: time.Hour, TCPTimeWait: 2 * time.Second, UDP: time.Hour, DNS: time.Hour}
	if err := tableOf(g).Write(l.conn); err != nil {
		t.Fatal(err)
	}
	l.serveTCP(t)
	c, err := dial(l.lan, server+":80", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).Close()
	for deadline := time.Now().Add(10 * time.Second); strings.Contains(l.gw.run(t, "conntrack", "-L"), "dport=80"); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(l.gw.run(t, "conntrack", "-L"))
		}
	}
}
