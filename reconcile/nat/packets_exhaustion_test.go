package nat_test

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/softwire"
)

// TestExhaustion: towards one destination the whole set can be used before the first refusal, of TCP and of UDP, and a
// refused SYN gets the next port that is free.
func TestExhaustion(t *testing.T) {
	hosttest.NeedTool(t, "conntrack")
	const runs = 10
	for _, name := range []string{"ocn", "v6plus"} {
		sw := gatewaytest.NatKinds[name]
		for protocol, first := range map[string]func(*testing.T, softwire.Softwire, bool) int{"tcp": firstRefusal, "udp": firstSilence} {
			t.Run(name+" "+protocol, func(t *testing.T) {
				var firsts []int
				for run := range runs {
					// Each run gives its sockets back: package nftables cannot open one beyond the 1024th.
					t.Run("", func(t *testing.T) { firsts = append(firsts, first(t, sw, run == 0)) })
				}
				if len(firsts) < runs {
					return
				}
				slices.Sort(firsts)
				t.Logf("first refusal after %v of %d", firsts, sw.PortCount())
				if firsts[0] < sw.PortCount()*95/100 || firsts[runs/2] < sw.PortCount()*99/100 {
					t.Error("that is too early")
				}
			})
		}
	}
}

// firstSilence sends from one socket after the other to one destination, with other flows between, and returns how many
// were answered before the first was not.
func firstSilence(t *testing.T, sw softwire.Softwire, _ bool) int {
	l := gatewaytest.NewRig(t, sw)
	l.ServeUDP(t)
	others := gatewaytest.Sockets(t, l.Lan, 50)
	for n, c := range gatewaytest.Sockets(t, l.Lan, sw.PortCount()+1) {
		if n%5 == 0 {
			others[n/5%len(others)].WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("198.51.100.2:3478"))
		}
		c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(gatewaytest.Server+":3478"))
		c.SetReadDeadline(time.Now().Add(2 * time.Second))
		if _, err := c.Read(make([]byte, 100)); err != nil {
			if refused(t, l) == 0 {
				t.Fatalf("socket %d: no answer, though none was refused", n)
			}
			return n
		}
	}
	t.Fatal("more sockets than ports were answered")
	return 0
}

// TestChurn: with 70 % of the set in use towards one destination, every connection that is closed can be replaced at
// once, three thousand times. The ports of those that were closed are taken back from connection tracking then, which
// kernels before 6.5 do not do.
func TestChurn(t *testing.T) {
	for _, name := range []string{"ocn", "v6plus"} {
		t.Run(name, func(t *testing.T) { replaceAll(t, gatewaytest.NewRig(t, gatewaytest.NatKinds[name])) })
	}
}

func replaceAll(t *testing.T, l *gatewaytest.Rig) {
	l.ServeTCP(t)
	var open []net.Conn
	for range l.Sw.PortCount() * 7 / 10 {
		c, err := gatewaytest.Dial(l.Lan, gatewaytest.Server+":80", 8*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	late := 0
	for i := range 3000 {
		k := i * 7919 % len(open)
		open[k].(*net.TCPConn).CloseWrite()
		open[k].Read(make([]byte, 1)) // the server has closed its side, too
		open[k].Close()
		start := time.Now()
		c, err := gatewaytest.Dial(l.Lan, gatewaytest.Server+":80", 8*time.Second)
		if err != nil {
			t.Fatalf("replacement %d: %v", i, err)
		}
		if time.Since(start) > 500*time.Millisecond {
			late++
		}
		open[k] = c
	}
	if n := refused(t, l); n > 0 {
		t.Errorf("%d refused, %d late", n, late)
	}
}

// firstRefusal opens connections to one destination, with other flows between, and returns how many succeeded before
// the first SYN was lost.
func firstRefusal(t *testing.T, sw softwire.Softwire, retry bool) int {
	l := gatewaytest.NewRig(t, sw)
	l.ServeTCP(t)
	l.ServeUDP(t)
	others := gatewaytest.Sockets(t, l.Lan, 50)
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
		if n == 200 { // not later: package nftables cannot open a socket beyond the 1024th
			if err := l.Table().Write(l.Conn); err != nil { // which must not forget what it has counted
				t.Fatal(err)
			}
		}
		// A SYN is sent again after a second. On a slow machine that happens without a refusal too.
		start := time.Now()
		wait := 8 * time.Second
		if n == sw.PortCount() {
			wait = time.Second // there is none left
		}
		c, err := gatewaytest.Dial(l.Lan, gatewaytest.Server+":80", wait)
		if err != nil && !gatewaytest.IsTimeout(err) {
			t.Fatal(err)
		}
		if err == nil {
			open = append(open, c)
		}
		if time.Since(start) > 500*time.Millisecond && refused(t, l) > 0 {
			if retry {
				retried(t, l, open)
			}
			return n
		}
		if err != nil {
			t.Fatalf("connection %d: no answer, though none was refused", n)
		}
	}
}

// refused is how many packets the gateway dropped because NAT found no free port: the kernel notices when the
// connection is to be entered, and its tuple is there already.
func refused(t *testing.T, l *gatewaytest.Rig) int {
	t.Helper()
	sum := 0
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

// retried: with a tenth of the connections reset, what was refused is refused no longer. Kernels before
// 6.3 keep the port of a reset connection for ten seconds.
func retried(t *testing.T, l *gatewaytest.Rig, open []net.Conn) {
	for _, c := range open[:len(open)/10] {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	for range 10 {
		c, err := gatewaytest.Dial(l.Lan, gatewaytest.Server+":80", 20*time.Second)
		if err != nil {
			t.Errorf("with a tenth of the ports free: %v", err)
			return
		}
		defer c.Close()
	}
}
