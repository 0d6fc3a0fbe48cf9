package ports

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// TestUsage counts the ports of real connections: the same that the judge saw leave.
func TestUsage(t *testing.T) {
	for _, name := range []string{"ocn", "offset0", "overlap", "prefix"} {
		t.Run(name, func(t *testing.T) {
			l := gatewaytest.BareRig(t, gatewaytest.NatKinds[name])
			set := l.Sw.Ports.Ranges()
			last := set[len(set)-1].Last
			l.Forwards = []schema.Forward{{Protocol: "both", Ports: []schema.PortRange{{First: last, Last: last}}, To: netip.MustParseAddrPort("192.168.1.10:7000")}}
			if err := l.Table().Write(l.Conn); err != nil {
				t.Fatal(err)
			}
			l.ServeUDP(t)
			l.ServeTCP(t)
			for i, c := range gatewaytest.Sockets(t, l.Lan, 40) {
				for number := range i%3 + 1 {
					if _, err := gatewaytest.Ask(c, number+1, 10); err != nil {
						t.Fatal(err)
					}
				}
			}
			for range 5 {
				c, err := gatewaytest.Dial(l.Lan, gatewaytest.Server+":80", 3*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
			}
			l.Lan.Exec(t, "ping", "-c1", "-W2", gatewaytest.Server)
			callForward(t, l, last)

			var u Usage
			var err error
			l.Gw.Do(func() { u, err = Look(&host.Host{NFT: l.Conn}, l.Gateway().Line, l.Forwards) })
			if err != nil || len(u.Warnings) > 0 {
				t.Fatal(err, u.Warnings)
			}
			seen := map[uint16]bool{}
			for use := range u.used {
				seen[use.address.Port()] = true
			}
			l.Mu.Lock()
			defer l.Mu.Unlock()
			delete(l.Seen, last) // the answer of what is forwarded
			if !sameKeys(seen, l.Seen) {
				t.Errorf("counted %d ports, %d left", len(seen), len(l.Seen))
			}
			tcp, udp, icmp := u.Protocols[0], u.Protocols[1], u.Protocols[2]
			if tcp.Used != 5 || udp.Used != 40 || icmp.Used != 1 || udp.Connections != 40+26+13 {
				t.Errorf("counted %+v", u.Protocols)
			}
			to := Destination{netip.MustParseAddr(gatewaytest.Server), 3478, 40}
			if *udp.Busiest != to || *tcp.Busiest != (Destination{to.Address, 80, 5}) || *icmp.Busiest != (Destination{to.Address, 0, 1}) {
				t.Errorf("most to %v, %v, %v", udp.Busiest, tcp.Busiest, icmp.Busiest)
			}
			if len(u.Hosts) != 1 || u.Hosts[0].Address.String() != "192.168.1.10" || u.Hosts[0].Used["udp"] != 40 {
				t.Errorf("hosts %+v", u.Hosts)
			}
			if u.Forwards[0].Connections != 1 {
				t.Errorf("forwards %+v", u.Forwards)
			}
			sum := 0
			for _, r := range u.Ranges {
				sum += r.Used["udp"]
			}
			if sum != 40 {
				t.Errorf("%d in all ranges", sum)
			}
			free, _, err := u.Suggest(u.free())
			for _, r := range free {
				for port := int(r.First); port <= int(r.Last); port++ {
					if err != nil || seen[uint16(port)] || uint16(port) == last {
						t.Fatalf("%d is suggested, %v", port, err)
					}
				}
			}
		})
	}
}

// free is how many ports can be suggested.
func (u Usage) free() int {
	taken := map[uint16]bool{}
	for use := range u.used {
		taken[use.address.Port()] = true
	}
	return len(u.pool.Ports()) - len(taken)
}

func sameKeys(a, b map[uint16]bool) bool {
	for k := range a {
		if !b[k] {
			return false
		}
	}
	return len(a) == len(b)
}

// callForward has a guest of the internet speak with a service of the LAN.
func callForward(t *testing.T, l *gatewaytest.Rig, port uint16) {
	t.Helper()
	var service *net.UDPConn
	l.Lan.Do(func() { service, _ = net.ListenUDP("udp4", &net.UDPAddr{Port: 7000}) })
	if service == nil {
		t.Fatal("no service")
	}
	defer service.Close()
	guest := gatewaytest.Sockets(t, l.Inet, 1)[0]
	guest.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(l.Sw.Inner.Addr(), port))
	service.SetReadDeadline(time.Now().Add(gatewaytest.Limit))
	_, from, err := service.ReadFromUDPAddrPort(make([]byte, 10))
	if err != nil {
		t.Fatal("the forward does not work: ", err)
	}
	service.WriteToUDPAddrPort([]byte("y"), from)
	guest.SetReadDeadline(time.Now().Add(gatewaytest.Limit))
	if _, _, err := guest.ReadFrom(make([]byte, 10)); err != nil {
		t.Fatal("no answer through the forward: ", err)
	}
}

// TestUsageOfAll holds for every kind of set: the cells have each port once, and every suggestion is a port of the set
// that may be drawn, n of them, in one run where there is one.
func TestUsageOfAll(t *testing.T) {
	gatewaytest.Softwires(func(sw softwire.Softwire) {
		where := fmt.Sprintf("offset %d, length %d, psid %d", sw.Ports.PSIDOffset, sw.Ports.PSIDLen, sw.Ports.PSID)
		set := sw.Ports.Ranges()
		forward := schema.Forward{Protocol: "tcp", Ports: []schema.PortRange{{First: set[0].First, Last: set[0].First}}}
		u := NewUsage(line.Line{Softwire: sw}, []schema.Forward{forward})
		if len(u.Ranges) == 0 || len(u.Ranges) > mostCells {
			t.Fatalf("%s: %d ranges", where, len(u.Ranges))
		}
		sum, forwarded := 0, 0
		for i, r := range u.Ranges {
			if r.First > r.Last || i > 0 && r.First <= u.Ranges[i-1].Last {
				t.Fatalf("%s: range %+v", where, r)
			}
			sum, forwarded = sum+r.Ports, forwarded+r.Forwarded
		}
		if drawn := u.pool.Ports(); sum != len(drawn) || sum != u.Ports || forwarded != 1 {
			t.Fatalf("%s: %d of %d ports in the ranges, %d forwarded", where, sum, len(drawn), forwarded)
		}
		if _, _, err := u.Suggest(sum + 1); err == nil {
			t.Fatalf("%s: more than there are", where)
		}
		for _, n := range []int{1, 2, 7, sum} {
			if n == 0 || n > sum {
				continue
			}
			list, _, err := u.Suggest(n)
			if err != nil {
				t.Fatal(where, err)
			}
			count := 0
			for _, r := range list {
				for port := int(r.First); port <= int(r.Last); port++ {
					if !sw.Ports.Has(uint16(port)) || port < nat.FirstPort || uint16(port) == set[0].First {
						t.Fatalf("%s: suggested %d", where, port)
					}
					count++
				}
			}
			if count != n || !slices.IsSortedFunc(list, func(a, b schema.PortRange) int { return int(a.First) - int(b.First) }) {
				t.Fatalf("%s: %v are not %d", where, list, n)
			}
		}
	})
}

// TestUsageOfMany: a hundred thousand connections are counted in a fraction of a second.
func TestUsageOfMany(t *testing.T) {
	u := NewUsage(line.Line{Softwire: gatewaytest.NatKinds["address"]}, nil)
	a := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)}) }
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	for i := range 100_000 {
		host := netip.AddrPortFrom(a(i%20), uint16(i))
		u.add(&kernel.Connection{
			Protocol: kernel.ProtoTCP, SNAT: true, Src: host, Dst: netip.AddrPortFrom(a(i%500), 443), ReplySrc: netip.AddrPortFrom(a(i%500), 443),
			ReplyDst: netip.AddrPortFrom(u.Address.Addr(), uint16(1024+i%60000)),
		})
	}
	u.sum()
	runtime.ReadMemStats(&after)
	t.Logf("%v, %d KiB", time.Since(start), (after.TotalAlloc-before.TotalAlloc)>>10)
	if u.Protocols[0].Used != 60000 || u.Protocols[0].Busiest.Ports != 200 || len(u.Hosts) != 20 {
		t.Errorf("counted %+v, %d hosts", u.Protocols[0], len(u.Hosts))
	}
}
