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
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nft"
	"mape-netplan/schema"
)

// TestTimeouts: a connection is forgotten when the section says, one to a resolver sooner; connections that do not pass
// the tunnel are as the machine has them, and a table written again changes no living connection.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	hosttest.NeedTool(t, "conntrack")
	l := gatewaytest.BareRig(t, gatewaytest.NatKinds["ocn"])
	g := l.Gateway()
	g.Conntrack.DNS = 10 * time.Minute // The default might be over before this test looks.
	table := gatewaytest.TableOf(g)
	if err := table.Write(l.Conn); err != nil {
		t.Fatal(err)
	}
	l.ServeTCP(t)
	l.ServeUDP(t)
	gatewaytest.Say(t, l.Gw, "gw", 4501)
	since := time.Now()
	c, err := gatewaytest.Dial(l.Lan, gatewaytest.Server+":80", gatewaytest.Limit)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	hosttest.Sysctl(t, l.Gw, map[string]string{"netfilter/nf_conntrack_udp_timeout": "1000"})
	for _, to := range []string{gatewaytest.Server + ":53", gatewaytest.Server + ":4500", "192.168.1.1:4501"} {
		gatewaytest.Sockets(t, l.Lan, 1)[0].WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(to))
	}
	check := func() {
		t.Helper()
		for port, seconds := range map[string]int{"80": 7440, "53": 600, "4500": 120, "4501": 1000} {
			lasts(t, l.Gw, since, seconds, " dport="+port+" ")
		}
	}
	check()
	if err := table.Write(l.Conn); err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("x"))
	c.SetReadDeadline(time.Now().Add(gatewaytest.Limit))
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	check()
}

// lasts waits until a connection with all these words may be idle for so many seconds, less those that have gone by since
// it was last used.
func lasts(t *testing.T, n *hosttest.NS, since time.Time, seconds int, words ...string) {
	t.Helper()
	all := ""
	for end := time.Now().Add(gatewaytest.Limit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		all = n.Exec(t, "conntrack", "-L")
		gone := int(time.Since(since)/time.Second) + 2
		for line := range strings.Lines(all) {
			if slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
				continue
			}
			left, err := strconv.Atoi(strings.Fields(line)[2])
			if err != nil {
				t.Fatal(line)
			}
			if left <= seconds && left >= seconds-gone {
				return
			}
		}
	}
	t.Errorf("no connection with %q and %d s:\n%s", words, seconds, all)
}

// TestTimes: each time of the section holds for what it is for, whether the LAN, the gateway or the internet opened the
// connection, and whichever of two statements the kernel uses. Where one connection meets two "ct timeout set", that is
// the last with Linux 6.1 and 6.18 and the first with 6.12 and 7.2: so they are tried in either order.
func TestTimes(t *testing.T) {
	hosttest.NeedTool(t, "conntrack")
	for name, order := range map[string]func(*nft.Table){"in order": func(*nft.Table) {}, "turned round": turnTimeouts} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			times(t, gatewaytest.BareRig(t, gatewaytest.NatKinds["ocn"]), order)
		})
	}
}

func times(t *testing.T, l *gatewaytest.Rig, order func(*nft.Table)) {
	l.Forwards = gatewaytest.ForwardsOf(l.Sw)
	g := l.Gateway()
	// So far apart that a slow machine does not take one for another.
	g.Conntrack = schema.Conntrack{TCPEstablished: 30 * time.Hour, TCPTransitory: 20 * time.Hour, TCPTimeWait: 10 * time.Hour, UDP: 5 * time.Hour, DNS: 2 * time.Hour}
	table := gatewaytest.TableOf(g)
	order(&table)
	if err := table.Write(l.Conn); err != nil {
		t.Fatal(err)
	}
	hosttest.Sysctl(t, l.Gw, map[string]string{"netfilter/nf_conntrack_icmp_timeout": "1000"})
	l.ServeTCP(t)
	l.ServeUDP(t)
	gatewaytest.Say(t, l.Inet, "resolver", 53)
	gatewaytest.Say(t, l.Lan, "lan", 22)
	l.Set(func(outward bool, p []byte) bool {
		return !outward || p[9] != kernel.ProtoTCP || binary.BigEndian.Uint16(p[22:]) != 81
	})
	for address, from := range map[string]*hosttest.NS{"192.168.1.10": l.Lan, "192.168.1.1": l.Gw} {
		timesFrom(l, t, from, address)
	}
	for protocol, seconds := range map[string]int{"udp": 2 * 60, "tcp": 10 * 60 * 60} {
		since := time.Now()
		to := netip.AddrPortFrom(l.Sw.Inner.Addr(), l.Forwards[0].Ports[0].First)
		if gatewaytest.Hear(t, l.Inet, protocol, to.String(), gatewaytest.Limit) == "" {
			t.Errorf("%s: no answer from the forwarded port", protocol)
		}
		lasts(t, l.Gw, since, seconds, protocol, "dst=192.0.2.18 ", "src=192.168.1.10 dst=198.51.100.1 sport=22 ")
	}
}

// timesFrom opens a connection for each time of the section. Nothing answers on port 81.
func timesFrom(l *gatewaytest.Rig, t *testing.T, from *hosttest.NS, address string) {
	t.Helper()
	src := "src=" + address + " "
	udp := gatewaytest.Sockets(t, from, 1)[0]
	send := func() {
		for _, port := range []uint16{53, 3478, 4500} {
			udp.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(netip.MustParseAddr(gatewaytest.Server), port))
		}
	}
	since := time.Now()
	send()
	open, err := gatewaytest.Dial(from, gatewaytest.Server+":80", gatewaytest.Limit)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	closed, err := gatewaytest.Dial(from, "198.51.100.2:80", gatewaytest.Limit)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if c, err := gatewaytest.Dial(from, gatewaytest.Server+":81", gatewaytest.Silence); err == nil {
		c.Close()
		t.Error("the silent port answers")
	}
	from.Exec(t, "ping", "-c1", "-W60", gatewaytest.Server)
	lasts(t, l.Gw, since, 30*60*60, "ESTABLISHED", src, "dport=80 ")
	lasts(t, l.Gw, since, 20*60*60, "SYN_SENT", src, "dport=81 ")
	lasts(t, l.Gw, since, 10*60*60, "TIME_WAIT", src, "dport=80 ")
	lasts(t, l.Gw, since, 2*60, "udp", src, "dport=4500 ")
	lasts(t, l.Gw, since, 2*60*60, "udp", src, "dport=53 ")
	lasts(t, l.Gw, since, 1000, "icmp", src)
	// The kernel takes for a stream what has packets both ways for more than two seconds.
	time.Sleep(time.Until(since.Add(2500 * time.Millisecond)))
	send()
	lasts(t, l.Gw, since, 5*60*60, "udp", src, "dport=3478 ")
	lasts(t, l.Gw, since, 2*60*60, "udp", src, "dport=53 ")
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

// TestDNSStorm: questions that a resolver never answers take the ports of a set until one is refused, and give them back
// after the section's time for DNS, not that for UDP.
func TestDNSStorm(t *testing.T) {
	t.Parallel()
	l := gatewaytest.BareRig(t, gatewaytest.Shared(0x141, 10, 4)) // 60 ports
	g := l.Gateway()
	g.Conntrack = schema.Conntrack{TCPEstablished: time.Hour, TCPTransitory: time.Hour, TCPTimeWait: time.Hour, UDP: time.Hour, DNS: 5 * time.Second}
	if err := gatewaytest.TableOf(g).Write(l.Conn); err != nil {
		t.Fatal(err)
	}
	o := newOpener(t, l)
	sport := uint16(20000)
	ask := func() bool {
		sport++
		_, ok := o.first(t, kernel.ProtoUDP, sport, resolver)
		return ok
	}
	for ask() {
		if sport > 40000 {
			t.Fatal("no question is refused") // or the machine is too slow to ask 60 in five seconds
		}
	}
	left := questions(l, t)
	if len(left) > 0 && slices.Max(left) > 5 {
		t.Fatalf("a question is remembered for %d s", slices.Max(left))
	}
	for end := time.Now().Add(gatewaytest.Limit); !ask(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d ports are still taken", len(questions(l, t)))
		}
	}
}

// questions are the seconds that each question to a resolver is still remembered.
func questions(l *gatewaytest.Rig, t *testing.T) (left []int) {
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
	t.Parallel()
	hosttest.NeedTool(t, "conntrack")
	l := gatewaytest.BareRig(t, gatewaytest.NatKinds["ocn"])
	g := l.Gateway()
	g.Conntrack = schema.Conntrack{TCPEstablished: time.Hour, TCPTransitory: time.Hour, TCPTimeWait: 2 * time.Second, UDP: time.Hour, DNS: time.Hour}
	if err := gatewaytest.TableOf(g).Write(l.Conn); err != nil {
		t.Fatal(err)
	}
	l.ServeTCP(t)
	c, err := gatewaytest.Dial(l.Lan, gatewaytest.Server+":80", gatewaytest.Limit)
	if err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).Close()
	for end := time.Now().Add(gatewaytest.Limit); strings.Contains(l.Gw.Exec(t, "conntrack", "-L"), "dport=80"); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(l.Gw.Exec(t, "conntrack", "-L"))
		}
	}
}
