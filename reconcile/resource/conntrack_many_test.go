package resource_test

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// TestConntrackOfMany reads a hundred thousand connections in next to no memory, and deletes them.
func TestConntrackOfMany(t *testing.T) {
	const many = 100_000
	n := hosttest.NewNS(t)
	var entries []string
	for i := range many {
		entries = append(entries, fmt.Sprintf("-p udp -s 192.168.%d.%d -d 198.51.100.%d --sport %d --dport 53 --src-nat 192.0.2.18:%d",
			i/50000, i/10000%5+1, i/50000+1, 1024+i%10000, 1024+i%50000))
	}
	gatewaytest.Track(n, t, entries...)
	now := []nat.Translation{{Address: netip.MustParsePrefix("192.0.2.18/32"), First: 1024, Last: 65535}}
	n.Do(func() {
		for what, f := range map[string]resource.Conntrack{"none stale": {Now: now, Pool: nat.Config{Ports: []softwire.PortRange{{First: 1, Last: 65535}}}.Pool()}, "all stale": {Was: now}} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			live, err := f.Read(t.Context(), &host.Host{})
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %d KiB in %d allocations", what, (after.TotalAlloc-before.TotalAlloc)>>10, after.Mallocs-before.Mallocs)
			if want := map[bool]string{true: fmt.Sprintf("udp: %d connections of 192.0.2.18\n", many)}[f.Was != nil]; live.Text() != want {
				t.Errorf("%s: %q", what, live.Text())
			}
			if after.TotalAlloc-before.TotalAlloc > 10<<20 {
				t.Errorf("%s: %d MiB allocated", what, (after.TotalAlloc-before.TotalAlloc)>>20)
			}
		}
		f := resource.Conntrack{Was: now}
		if err := f.Write(t.Context(), &host.Host{}); err != nil {
			t.Fatal(err)
		}
	})
	if left := gatewaytest.Tracked(n, t); left != "" {
		t.Errorf("%d bytes of list are left", len(left))
	}
}

// TestConntrackOfForward: who is connected to a port that is forwarded no more is cut off; with a port set in one piece
// nothing else would.
func TestConntrackOfForward(t *testing.T) {
	l := gatewaytest.BareRig(t, gatewaytest.NatKinds["offset0"])
	l.Inbound = "drop"
	l.Forwards = []schema.Forward{{Protocol: "udp", Ports: []schema.PortRange{{First: 20480, Last: 20481}}, To: netip.MustParseAddrPort("192.168.1.10:7000")}}
	if err := l.Table().Write(l.Conn); err != nil {
		t.Fatal(err)
	}
	var service *net.UDPConn
	l.Lan.Do(func() { service, _ = net.ListenUDP("udp4", &net.UDPAddr{Port: 7001}) })
	if service == nil {
		t.Fatal("no service")
	}
	defer service.Close()
	guest := gatewaytest.Sockets(t, l.Inet, 1)[0]
	calls := func(wait time.Duration) bool {
		guest.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("192.0.2.18:20481"))
		service.SetReadDeadline(time.Now().Add(wait))
		_, from, err := service.ReadFrom(make([]byte, 10))
		if err == nil {
			service.WriteTo([]byte("y"), from)
		}
		return err == nil
	}
	if !calls(gatewaytest.Limit) {
		t.Fatal("the forward does not work")
	}
	f := resource.Conntrack{Was: nat.Translations(l.Table()), Now: nat.Translations(l.Table()), Pool: l.Gateway().NATConfig().Pool(), Closed: true}
	check := func(found string) {
		t.Helper()
		l.Gw.Do(func() {
			live, err := f.Read(t.Context(), &host.Host{})
			if err != nil || live.Text() != found {
				t.Errorf("found %q, %v", live.Text(), err)
			}
			if err := f.Write(t.Context(), &host.Host{}); err != nil {
				t.Error(err)
			}
		})
	}
	check("")
	if !calls(gatewaytest.Limit) {
		t.Error("what is forwarded was cut off")
	}
	l.Forwards = nil
	f.Now, f.Pool = nat.Translations(l.Table()), l.Gateway().NATConfig().Pool()
	if err := l.Table().Write(l.Conn); err != nil {
		t.Fatal(err)
	}
	if !calls(gatewaytest.Limit) {
		t.Error("the table alone cuts it off: this test proves nothing")
	}
	check("udp: 1 connection forwarded from 192.0.2.18\n")
	if calls(gatewaytest.Silence) {
		t.Error("it is still connected")
	}
}

// TestConntrackElsewhere: the connections are those of the host's namespace, whichever the caller is in.
func TestConntrackElsewhere(t *testing.T) {
	here, there := hosttest.NewNS(t), hosttest.NewNS(t)
	entry := "-p udp -s 192.168.1.5 -d 198.51.100.1 --sport 1900 --dport 53 --src-nat 192.0.2.18:1900"
	gatewaytest.Track(here, t, entry)
	gatewaytest.Track(there, t, entry, gatewaytest.Others[3])
	f, h := resource.Conntrack{Was: []nat.Translation{{Address: netip.MustParsePrefix("192.0.2.18/32"), First: 1024, Last: 65535}}}, &host.Host{NS: there.FD()}
	here.Do(func() {
		before, err := f.Read(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Write(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		after, err := f.Read(t.Context(), h)
		if err != nil || before.Text() != "udp: 1 connection of 192.0.2.18\n" || after.Text() != "" {
			t.Errorf("there were %q, there are %q, %v", before.Text(), after.Text(), err)
		}
	})
	if left := strings.Count(gatewaytest.Tracked(here, t), "\n"); left != 1 {
		t.Errorf("%d connections are left of the caller's namespace, want 1", left)
	}
	if left := strings.Count(gatewaytest.Tracked(there, t), "\n"); left != 1 {
		t.Errorf("%d connections of others are left, want 1", left)
	}
}
