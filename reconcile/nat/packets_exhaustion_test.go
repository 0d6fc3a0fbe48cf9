package nat_test

import (
	"net/netip"
	"testing"
	"time"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/kernel"
)

// mostRefusals is how many packets may be refused of those that use up a set. Before the pool is used in parts the kernel's
// search fails now and then (TestSearch: in less than 1 % of all runs); without the parts it fails 13 times for a set of
// 1008 ports.
const mostRefusals = 3

// TestExhaustion: towards one destination the whole set can be used, by TCP and by UDP, every port once and hardly a packet
// refused; when all are taken the next is refused, and a port that becomes free is found. How far other ways of NAT come is
// for BenchmarkExhaustion to show.
func TestExhaustion(t *testing.T) {
	for _, name := range []string{"ocn", "v6plus"} {
		for protocol, text := range map[byte]string{kernel.ProtoTCP: "tcp", kernel.ProtoUDP: "udp"} {
			t.Run(name+" "+text, func(t *testing.T) {
				t.Parallel()
				exhaust(t, newOpener(t, gatewaytest.NewRig(t, gatewaytest.NatKinds[name])), protocol)
			})
		}
	}
}

func exhaust(t *testing.T, o *opener, protocol byte) {
	const firstPort = 20000
	next := uint16(firstPort)
	lines := map[uint16]netip.AddrPort{} // by the LAN host's port
	taken := map[netip.AddrPort]bool{}
	refused := 0
	for n := range o.l.Sw.Ports.Count() {
		if n == 200 { // Written again, the table must not forget what it has counted.
			if err := o.l.Table().Write(o.l.Conn); err != nil {
				t.Fatal(err)
			}
		}
		if n%5 == 0 { // Other flows take ports, too.
			o.first(t, kernel.ProtoUDP, uint16(firstPort-1-n/5), netip.MustParseAddrPort("198.51.100.2:3478"))
		}
		line, ok := o.first(t, protocol, next, webServer)
		for ; !ok; line, ok = o.first(t, protocol, next, webServer) {
			if refused++; refused > mostRefusals {
				t.Fatalf("%d packets are refused with %d of %d ports taken", refused, n, o.l.Sw.Ports.Count())
			}
		}
		if taken[line] {
			t.Fatalf("%v is taken twice", line)
		}
		lines[next], taken[line] = line, true
		next++
	}
	t.Logf("%d refused", refused)
	if line, ok := o.first(t, protocol, next, webServer); ok {
		t.Errorf("more connections than ports: %v", line)
	}
	if protocol == kernel.ProtoTCP {
		comeBack(t, o, lines, next)
	}
}

// comeBack: with a tenth of the connections reset, as many can be opened. Kernels before 6.3 keep the port of a reset
// connection until its time is over.
func comeBack(t *testing.T, o *opener, lines map[uint16]netip.AddrPort, next uint16) {
	t.Helper()
	free := len(lines) / 10
	for sport, line := range lines {
		if free == 0 {
			break
		}
		free--
		o.arrive(t, tcpSegment(webServer, line, rst|ack, 0, isn(sport)+1))
	}
	end := time.Now().Add(gatewaytest.Limit)
	for range len(lines) / 10 {
		for {
			next++
			if _, ok := o.first(t, kernel.ProtoTCP, next, webServer); ok {
				break
			}
			if time.Now().After(end) {
				t.Fatal("the port of a reset connection is not found")
			}
		}
	}
}

// TestChurn: with 70 % of the set in use towards one destination, connections that are closed can be replaced, though all
// other ports are in TIME-WAIT: those are taken back from connection tracking, which kernels before 6.5 do not do. Refused
// is less than one SYN in a hundred; of NAT to the set's ranges in turn it is one in five (BenchmarkExhaustion).
func TestChurn(t *testing.T) {
	for _, name := range []string{"ocn", "v6plus"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			replaceAll(t, newOpener(t, gatewaytest.NewRig(t, gatewaytest.NatKinds[name])))
		})
	}
}

// replaceAll stays below the burst of connections that the table counts, so that its rate does not matter.
func replaceAll(t *testing.T, o *opener) {
	const firstPort, replacements = 20000, 1000
	next, count := uint16(firstPort), o.l.Sw.Ports.Count()*7/10
	var lines []netip.AddrPort // of the LAN host's ports from firstPort on
	refused := 0
	for len(lines) < count+replacements {
		if oldest := len(lines) - count; oldest >= 0 {
			o.shut(t, firstPort+uint16(oldest), lines[oldest], webServer)
			// The kernel takes a few closed connections out of a count in each tick of its clock, 100 a second or more.
			time.Sleep(2 * time.Millisecond)
		}
		line, ok := o.open(t, next, webServer)
		for ; !ok; line, ok = o.open(t, next, webServer) {
			if refused++; refused > replacements/100 {
				t.Fatalf("%d SYNs are refused for %d connections", refused, len(lines))
			}
		}
		lines, next = append(lines, line), next+1
	}
	t.Logf("%d refused", refused)
}
