package nat_test

import (
	"flag"
	"net/netip"
	"os"
	"sync"
	"testing"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/softwire"
)

// TestMain runs more tests beside each other than there are processors: most of their time they wait for packets. More than
// eight would have too many sockets: package nftables takes none beyond the 1024th.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		flag.Set(f.Name, "8")
	}
	os.Exit(m.Run())
}

// TestFlows: TCP, UDP and ping work from the LAN and from the gateway, over the whole of every kind of set, and
// everything that leaves carries a port of the set.
func TestFlows(t *testing.T) {
	for name, sw := range gatewaytest.NatKinds {
		if name == "system-ports" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := gatewaytest.NewRig(t, sw)
			l.ServeUDP(t)
			l.ServeTCP(t)
			for _, from := range []*hosttest.NS{l.Lan, l.Gw} {
				flowsUDP(t, from, min(sw.Ports.Count()/3, 40), sw)
				gatewaytest.FlowTCP(t, from)
				for range 3 {
					from.Exec(t, "ping", "-c2", "-i0.01", "-W60", gatewaytest.Server)
				}
				from.Exec(t, "ping", "-c1", "-W60", "-s", "3000", gatewaytest.Server)
			}
		})
	}
}

func flowsUDP(t *testing.T, from *hosttest.NS, n int, sw softwire.Softwire) {
	t.Helper()
	var wait sync.WaitGroup
	limit := make(chan bool, 20)
	for i, c := range gatewaytest.Sockets(t, from, n) {
		wait.Go(func() {
			limit <- true
			defer func() { <-limit }()
			for _, size := range []int{30, 1, 1400, 4000} { // the last goes in fragments, both ways
				saw, err := gatewaytest.Ask(c, 1+i%9, size)
				if err != nil || !sw.Inner.Contains(saw.Addr()) || !sw.Ports.Has(saw.Port()) {
					t.Errorf("UDP, %d bytes: %v, %v", size, saw, err)
				}
			}
		})
	}
	wait.Wait()
}

// TestMapping: one socket has one external port, whatever it talks to (RFC 4787 REQ-1).
func TestMapping(t *testing.T) {
	t.Parallel()
	l := gatewaytest.NewRig(t, gatewaytest.NatKinds["ocn"])
	l.ServeUDP(t)
	for _, c := range gatewaytest.Sockets(t, l.Lan, 100) {
		ports := map[netip.AddrPort]bool{}
		for number := 1; number <= 6; number++ {
			saw, err := gatewaytest.Ask(c, number, 10)
			if err != nil {
				t.Fatal(err)
			}
			ports[saw] = true
		}
		if len(ports) != 1 {
			t.Errorf("one socket, six destinations: %v", ports)
		}
	}
}

// TestSystemPortsOnly: a set that has only ports below 1024 gives NAT nothing to draw, and nothing leaves.
func TestSystemPortsOnly(t *testing.T) {
	t.Parallel()
	l := gatewaytest.NewRig(t, gatewaytest.NatKinds["system-ports"])
	c := gatewaytest.Sockets(t, l.Lan, 1)[0]
	c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(gatewaytest.Server+":3478"))
	if n := l.Quiet(); n != 0 {
		t.Errorf("%d packets left", n)
	}
}
