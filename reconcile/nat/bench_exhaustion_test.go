package nat_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/softwire"
)

// A method is a way to give a gateway's connections the ports of a set.
type method struct {
	name   string
	ranges int    // of the set that it uses, at most; 0: all
	choose string // the expression that chooses the range of a packet, with %s for the protocol; "": ours
}

var methods = []method{
	{"15 ranges, round robin", 15, "numgen inc mod %d"},
	{"all ranges, round robin", 0, "numgen inc mod %d"},
	{"all ranges, random", 0, "numgen random mod %d"},
	{"all ranges, hash of source", 0, "jhash ip saddr . @th,0,16 mod %d seed 0x5eed"},
	{"pool + permutation (ours)", 0, ""},
}

// script is the method as nft(8) loads it. nft 1.0.6 compiles `snat to A : numgen … map { 0 : lo-hi }` to single ports
// without a word: so there is one rule for each range, and a mark carries what was chosen to it, drawn once.
func (m method) script(sw softwire.Softwire) string {
	ranges := sw.Ports.Ranges()
	if m.ranges > 0 {
		ranges = ranges[:min(m.ranges, len(ranges))]
	}
	var b strings.Builder
	b.WriteString("table ip other {\n\tchain postrouting {\n\t\ttype nat hook postrouting priority 100;\n")
	fmt.Fprintf(&b, "\t\tmeta l4proto { tcp, udp } meta mark set "+m.choose+"\n", len(ranges))
	for i, r := range ranges {
		for _, protocol := range []string{"tcp", "udp"} {
			fmt.Fprintf(&b, "\t\toifname mape0 meta l4proto %s mark %d snat to %s:%d-%d\n", protocol, i, sw.Inner.Addr(), r.First, r.Last)
		}
	}
	b.WriteString("\t}\n}\n")
	return b.String()
}

// ports is how many ports the method uses of the set.
func (m method) ports(sw softwire.Softwire) (n int) {
	for i, r := range sw.Ports.Ranges() {
		if m.ranges == 0 || i < m.ranges {
			n += int(r.Last-r.First) + 1
		}
	}
	return n
}

// line is a line with the method's NAT. What leaves with a port that is not of the set fails the benchmark.
func (m method) line(b *testing.B, sw softwire.Softwire) *gatewaytest.Rig {
	l := gatewaytest.BareRig(b, sw)
	if m.choose == "" {
		if err := l.Table().Write(l.Conn); err != nil {
			b.Fatal(err)
		}
	} else {
		l.Gw.Do(func() {
			c := exec.Command("nft", "-f", "-")
			c.Stdin = strings.NewReader(m.script(sw))
			if out, err := c.CombinedOutput(); err != nil {
				b.Fatalf("nft: %v\n%s", err, out)
			}
		})
	}
	l.ServeTCP(b)
	l.ServeUDP(b)
	return l
}

// BenchmarkExhaustion prints how much of a port set each method can use towards one destination, what servers see of
// one UDP socket, and what happens when connections come and go.
func BenchmarkExhaustion(b *testing.B) {
	hosttest.NeedRoot(b)
	hosttest.NeedTool(b, "conntrack")
	hosttest.NeedTool(b, "nft")
	runs := 3
	if n, err := strconv.Atoi(os.Getenv("MAPE_RUNS")); err == nil {
		runs = max(n, 1)
	}
	for _, kind := range []string{"ocn", "v6plus"} {
		sw := gatewaytest.NatKinds[kind]
		rows := []string{
			fmt.Sprintf("| %s, %d ports | first refused at: median (least of %d) | one socket, six destinations | late of those replaced at 70 %% | SYNs refused |",
				kind, sw.Ports.Count(), runs), "|---|---|---|---|---|",
		}
		for _, m := range methods {
			row := ""
			b.Run(kind+"/"+strings.ReplaceAll(m.name, " ", "-"), func(b *testing.B) {
				if row == "" { // Once is enough, though it took less than the time that a benchmark is given.
					row = m.measure(b, sw, runs)
				}
			})
			if row != "" {
				rows = append(rows, row)
			}
		}
		fmt.Printf("\n%s\n\n", strings.Join(rows, "\n"))
	}
}

func (m method) measure(b *testing.B, sw softwire.Softwire, runs int) string {
	var firsts []int
	for range runs {
		l := m.line(b, sw)
		open := fill(l, b, sw.Ports.Count())
		firsts = append(firsts, len(open))
		reset(open)
	}
	slices.Sort(firsts)
	mapping := mapping(m.line(b, sw), b)
	churn := churnPorts(m.line(b, sw), b, m.ports(sw)*70/100)
	b.ReportMetric(float64(firsts[len(firsts)/2]), "connections")
	b.ReportMetric(float64(churn.late), "late")
	b.ReportMetric(0, "ns/op")
	b.Logf("%s: connection tracking after the churn: %s", m.name, churn.states)
	return fmt.Sprintf("| %s | %d (%d) | %s | %s | %d |", m.name, firsts[len(firsts)/2], firsts[0], mapping, churn, churn.refused)
}

// late is a connection whose first SYN was lost: it is sent again after a second.
const late = 500 * time.Millisecond

// fill opens connections to one destination until the first is refused or there are n, and returns those that were not.
// Between them are new flows to others, one for each on average: without those, round robin would fill the ranges in
// step. A SYN that is late on a slow machine was not refused.
func fill(l *gatewaytest.Rig, b *testing.B, n int) (open []net.Conn) {
	b.Helper()
	others := gatewaytest.Sockets(b, l.Lan, 150)
	for i := range n {
		for range rand.IntN(3) {
			to := netip.AddrFrom4([4]byte{198, 51, 100, byte(2 + rand.IntN(8))})
			others[rand.IntN(len(others))].WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(to, 3478))
		}
		start := time.Now()
		c, err := gatewaytest.Dial(l.Lan, gatewaytest.Server+":80", 8*time.Second)
		if time.Since(start) > late && refusals(b, l) > 0 {
			if err == nil {
				c.Close()
			}
			return open
		}
		if err != nil {
			b.Fatalf("connection %d: %v, though none was refused", i, err)
		}
		open = append(open, c)
	}
	return open
}

func reset(open []net.Conn) {
	for _, c := range open {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
}

// mapping says how many ports six servers see of one UDP socket, over 100 sockets.
func mapping(l *gatewaytest.Rig, b *testing.B) string {
	counts := map[int]int{}
	for _, c := range gatewaytest.Sockets(b, l.Lan, 100) {
		ports := map[netip.AddrPort]bool{}
		for number := 1; number <= 6; number++ {
			saw, err := gatewaytest.Ask(c, number, 10)
			if err != nil {
				b.Fatal(err)
			}
			ports[saw] = true
		}
		counts[len(ports)]++
	}
	var words []string
	for n := 1; n <= 6; n++ {
		switch {
		case counts[n] > 0 && n == 1:
			words = append(words, fmt.Sprintf("one port, %d of 100 sockets", counts[n]))
		case counts[n] > 0:
			words = append(words, fmt.Sprintf("%d ports, %d of 100 sockets", n, counts[n]))
		}
	}
	return strings.Join(words, "; ")
}

// A churn is what became of connections that replaced others.
type churn struct {
	filled, replaced, late, failed, refused int
	states                                  string
}

func (c churn) String() string {
	text := fmt.Sprintf("%d of %d", c.late, c.replaced)
	if c.failed > 0 {
		text += fmt.Sprintf(" (%d failed)", c.failed)
	}
	return text
}

// Each late one takes a second: methods that have many get a time instead of a number.
const (
	replacements = 3000
	churnTime    = 15 * time.Second
)

// churnPorts opens n connections to one destination and replaces them one by one at random: the client closes first, as
// browsers do, and the server after it, so that what is left of a connection is an entry in TIME_WAIT.
func churnPorts(l *gatewaytest.Rig, b *testing.B, n int) (c churn) {
	b.Helper()
	var open []net.Conn
	for range n { // or fewer: some methods do not get so far
		if conn, err := gatewaytest.Dial(l.Lan, gatewaytest.Server+":80", 1500*time.Millisecond); err == nil {
			open = append(open, conn)
		}
	}
	c.filled = len(open)
	before := refusals(b, l)
	for start := time.Now(); c.replaced < replacements && time.Since(start) < churnTime; c.replaced++ {
		i := rand.IntN(len(open))
		open[i].Close()
		start := time.Now()
		conn, err := gatewaytest.Dial(l.Lan, gatewaytest.Server+":80", 8*time.Second)
		if time.Since(start) > late {
			c.late++
		}
		if err != nil {
			c.failed++
			open = slices.Delete(open, i, i+1)
			continue
		}
		open[i] = conn
	}
	c.refused = refusals(b, l) - before
	c.states = states(l, b)
	reset(open)
	return c
}

// states counts the TCP entries of connection tracking by their state.
func states(l *gatewaytest.Rig, b *testing.B) string {
	counts := map[string]int{}
	for _, row := range strings.Split(l.Gw.Exec(b, "conntrack", "-L", "-p", "tcp"), "\n") {
		if f := strings.Fields(row); len(f) > 3 && f[0] == "tcp" {
			counts[f[3]]++
		}
	}
	var words []string
	for state, n := range counts {
		words = append(words, fmt.Sprintf("%d %s", n, state))
	}
	slices.SortFunc(words, func(a, b string) int { return cmp.Compare(b, a) })
	return strings.Join(words, ", ")
}
