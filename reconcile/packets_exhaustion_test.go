package reconcile

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/softwire"
)

// TestExhaustion: towards one destination nearly the whole set can be used before the first refusal, and a refused SYN
// gets the next port that is free.
//
// The kernel tries 128, 64, 32 and 16 numbers in a row from random ones. That is a matter of luck: of a thousand
// simulated runs over 1008 ports the worst ended at 82 %, half before 95 %.
func TestExhaustion(t *testing.T) {
	needTool(t, "conntrack")
	for _, name := range []string{"ocn", "v6plus"} {
		t.Run(name, func(t *testing.T) {
			sw := natKinds[name]
			var firsts []int
			for range 3 {
				firsts = append(firsts, firstRefusal(t, sw))
			}
			slices.Sort(firsts)
			t.Logf("first refusal after %v of %d", firsts, sw.PortCount())
			if firsts[0] < sw.PortCount()*80/100 || firsts[1] < sw.PortCount()*88/100 {
				t.Errorf("first refusal after %v of %d", firsts, sw.PortCount())
			}
		})
	}
}

// firstRefusal opens connections to one destination, with other flows between, and returns how many succeeded before
// the first SYN was lost.
func firstRefusal(t *testing.T, sw softwire.Softwire) int {
	l := newLine(t, sw)
	l.serveTCP(t)
	l.serveUDP(t)
	others := sockets(t, l.lan, 50)
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}()
	for n := 0; ; n++ {
		if n%5 == 0 {
			others[n/5%len(others)].WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("198.51.100.2:3478"))
		}
		// A SYN is sent again after a second. On a slow machine that happens without a refusal too.
		start := time.Now()
		c, err := dial(l.lan, server+":80", 8*time.Second)
		if err != nil && !isTimeout(err) {
			t.Fatal(err)
		}
		if err == nil {
			open = append(open, c)
		}
		if time.Since(start) > 500*time.Millisecond && refused(t, l) > 0 {
			retried(t, l, open)
			return n
		}
		if err != nil {
			t.Fatalf("connection %d: no answer, though none was refused", n)
		}
	}
}

// refused is how many packets the gateway dropped because NAT found no free port: the kernel notices when the
// connection is to be entered, and its tuple is there already.
func refused(t *testing.T, l *line) int {
	t.Helper()
	sum := 0
	for _, word := range strings.Fields(l.gw.run(t, "conntrack", "-S")) {
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

// retried: with a tenth of the connections reset, what was refused is refused no longer. Kernels before
// 6.3 keep the port of a reset connection for ten seconds.
func retried(t *testing.T, l *line, open []net.Conn) {
	for _, c := range open[:len(open)/10] {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	for range 10 {
		c, err := dial(l.lan, server+":80", 20*time.Second)
		if err != nil {
			t.Errorf("with a tenth of the ports free: %v", err)
			return
		}
		defer c.Close()
	}
}
