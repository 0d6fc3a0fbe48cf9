package reconcile

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// track makes entries of connection tracking, each as "conntrack -I" takes it.
func (n *ns) track(t testing.TB, entries ...string) {
	t.Helper()
	needTool(t, "conntrack")
	file := filepath.Join(t.TempDir(), "entries")
	writeFile(t, file, "-I -t 300 "+strings.Join(entries, "\n-I -t 300 ")+"\n")
	n.run(t, "conntrack", "-R", file)
}

// Entries that are others', as conntrack -I takes them: Docker's masquerade and a published port, another uplink, a
// connection of the gateway itself and one of the LAN with the shared address.
var others = []string{
	"-p udp -s 172.17.0.2 -d 198.51.100.1 --sport 1900 --dport 53 --src-nat 192.168.1.5:1900",
	"-p tcp --state ESTABLISHED -s 203.0.113.5 -d 203.0.113.9 --sport 1900 --dport 8080 --dst-nat 172.17.0.2:80",
	"-p udp -s 192.168.1.10 -d 198.51.100.1 --sport 1901 --dport 53 --src-nat 203.0.113.9:1901",
	"-p udp -s 192.168.1.5 -d 192.168.1.1 --sport 1902 --dport 53",
	"-p tcp --state ESTABLISHED -s 192.168.1.11 -d 153.241.113.198 --sport 1903 --dport 443 --dst-nat 192.168.1.10:443",
}

// tracked lists what connection tracking has, sorted and without what passes, or what the kernel itself sends: IGMP, when
// an interface comes up.
func (n *ns) tracked(t testing.TB) string {
	t.Helper()
	out := n.run(t, "sh", "-c", "conntrack -L 2>/dev/null | grep -v '^unknown *2 ' | sed 's/^\\([a-z]* *[0-9]*\\) *[0-9]* /\\1 /' | sort")
	return out
}

// TestFlowsOfMany: with a hundred thousand connections, looking takes a fraction of a second and next to no memory, and
// deleting them is quick as well.
func TestFlowsOfMany(t *testing.T) {
	const many = 100_000
	n := newNS(t)
	var entries []string
	for i := range many {
		entries = append(entries, fmt.Sprintf("-p udp -s 192.168.%d.%d -d 198.51.100.%d --sport %d --dport 53 --src-nat 192.0.2.18:%d",
			i/50000, i/10000%5+1, i/50000+1, 1024+i%10000, 1024+i%50000))
	}
	n.track(t, entries...)
	now := []Translation{{Address: netip.MustParsePrefix("192.0.2.18/32"), First: 1024, Last: 65535}}
	n.do(func() {
		for what, f := range map[string]Flows{"none stale": {Now: now, Guard: pool{set: softwire.PortRange{First: 1, Last: 65535}}}, "all stale": {Was: now}} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			live, err := f.Read(t.Context(), &Host{})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %v, %d KiB in %d allocations", what, took, (after.TotalAlloc-before.TotalAlloc)>>10, after.Mallocs-before.Mallocs)
			if want := map[bool]string{true: fmt.Sprintf("udp: %d connections of 192.0.2.18\n", many)}[f.Was != nil]; live.Text() != want {
				t.Errorf("%s: %q", what, live.Text())
			}
			if took > 10*time.Second || after.TotalAlloc-before.TotalAlloc > 10<<20 {
				t.Errorf("%s: too slow or too fat", what)
			}
		}
		f := Flows{Was: now}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		if err := f.Write(t.Context(), &Host{}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		t.Logf("deleting: %v, %d KiB", time.Since(start), (after.TotalAlloc-before.TotalAlloc)>>10)
	})
	if left := n.tracked(t); left != "" {
		t.Errorf("%d bytes of list are left", len(left))
	}
}

// TestFlowsOfForward: who is connected to a port that is forwarded no more is cut off; with a port set in one piece
// nothing else would.
func TestFlowsOfForward(t *testing.T) {
	l := bareLine(t, natKinds["offset0"])
	l.inbound = "drop"
	l.forwards = []schema.Forward{{Protocol: "udp", Ports: []schema.PortRange{{First: 20480, Last: 20481}}, To: netip.MustParseAddrPort("192.168.1.10:7000")}}
	if err := l.table().Write(l.conn); err != nil {
		t.Fatal(err)
	}
	var service *net.UDPConn
	l.lan.do(func() { service, _ = net.ListenUDP("udp4", &net.UDPAddr{Port: 7001}) })
	if service == nil {
		t.Fatal("no service")
	}
	defer service.Close()
	guest := sockets(t, l.inet, 1)[0]
	calls := func() bool {
		guest.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("192.0.2.18:20481"))
		service.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		_, from, err := service.ReadFrom(make([]byte, 10))
		if err == nil {
			service.WriteTo([]byte("y"), from)
		}
		return err == nil
	}
	if !calls() {
		t.Fatal("the forward does not work")
	}
	f := Flows{Was: translations(l.table()), Now: translations(l.table()), Guard: l.gateway().nat().pool(), Closed: true}
	check := func(found string) {
		t.Helper()
		l.gw.do(func() {
			live, err := f.Read(t.Context(), &Host{})
			if err != nil || live.Text() != found {
				t.Errorf("found %q, %v", live.Text(), err)
			}
			if err := f.Write(t.Context(), &Host{}); err != nil {
				t.Error(err)
			}
		})
	}
	check("")
	if !calls() {
		t.Error("what is forwarded was cut off")
	}
	l.forwards = nil
	f.Now, f.Guard = translations(l.table()), l.gateway().nat().pool()
	if err := l.table().Write(l.conn); err != nil {
		t.Fatal(err)
	}
	if !calls() {
		t.Error("the table alone cuts it off: this test proves nothing")
	}
	check("udp: 1 connection forwarded from 192.0.2.18\n")
	if calls() {
		t.Error("it is still connected")
	}
}

// TestFlowsElsewhere: the connections are those of the host's namespace, whichever the caller is in.
func TestFlowsElsewhere(t *testing.T) {
	here, there := newNS(t), newNS(t)
	entry := "-p udp -s 192.168.1.5 -d 198.51.100.1 --sport 1900 --dport 53 --src-nat 192.0.2.18:1900"
	here.track(t, entry)
	there.track(t, entry, others[3])
	f, h := Flows{Was: []Translation{{Address: netip.MustParsePrefix("192.0.2.18/32"), First: 1024, Last: 65535}}}, &Host{NS: there.fd()}
	here.do(func() {
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
	if left := strings.Count(here.tracked(t), "\n"); left != 1 {
		t.Errorf("%d connections are left of the caller's namespace, want 1", left)
	}
	if left := strings.Count(there.tracked(t), "\n"); left != 1 {
		t.Errorf("%d connections of others are left, want 1", left)
	}
}
