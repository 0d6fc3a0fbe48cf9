package resource_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/resource"
)

// leave sends by every protocol to the internet, from the LAN and from the gateway itself, and is true if packets leave.
// Those that should are waited for.
func leave(l *gatewaytest.Rig, t *testing.T, should bool) bool {
	t.Helper()
	before := l.Quiet()
	for _, from := range []*hosttest.NS{l.Lan, l.Gw} {
		for _, c := range gatewaytest.Sockets(t, from, 5) {
			c.WriteToUDPAddrPort(make([]byte, 3000), netip.MustParseAddrPort(gatewaytest.Server+":3478")) // in fragments
		}
		if c, err := gatewaytest.Dial(from, gatewaytest.Server+":80", 50*time.Millisecond); err == nil {
			c.Close()
		}
		from.Try("ping", "-c1", "-W0.1", gatewaytest.Server)
	}
	for end := time.Now().Add(gatewaytest.Limit); should && l.Quiet() == before && time.Now().Before(end); {
	}
	return l.Quiet() > before
}

// TestFlush: while the table is away nothing leaves, and without the filter it would.
func TestFlush(t *testing.T) {
	for _, name := range []string{"ocn", "offset0", "address", "prefix"} {
		t.Run(name, func(t *testing.T) {
			l := gatewaytest.NewRig(t, gatewaytest.NatKinds[name])
			l.ServeUDP(t)
			l.ServeTCP(t)
			if !leave(l, t, true) {
				t.Error("with the table nothing leaves")
			}
			l.Gw.Exec(t, "nft", "flush", "ruleset")
			if leave(l, t, false) {
				t.Error("packets left while the table was away")
			}
			gatewaytest.WriteFilter(t, l.Gw, resource.Egress{Link: "mape0"})
			if !leave(l, t, true) {
				t.Error("without the filter nothing leaves: this test proves nothing")
			}
			l.Mu.Lock()
			defer l.Mu.Unlock()
			if len(l.Wrong) == 0 {
				t.Error("the judge sees nothing wrong in what leaves untranslated")
			}
			l.Wrong = nil
		})
	}
}

// TestFlushUnderTraffic takes the table away and puts it back 20 times while hosts go on sending. What is wrong the judge
// says.
func TestFlushUnderTraffic(t *testing.T) {
	l := gatewaytest.NewRig(t, gatewaytest.NatKinds["ocn"])
	l.ServeUDP(t)
	l.ServeTCP(t)
	var sent atomic.Int64
	var traffic sync.WaitGroup
	end := make(chan bool)
	for _, from := range []*hosttest.NS{l.Lan, l.Gw} {
		list := gatewaytest.Sockets(t, from, 40)
		traffic.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-end:
					return
				default:
				}
				list[i%len(list)].WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(fmt.Sprintf("198.51.100.%d:3478", 1+i%9)))
				sent.Add(1)
			}
		})
	}
	// more waits until as much has been sent again as shows what is so.
	more := func() {
		for now := sent.Load(); sent.Load() < now+200; {
			time.Sleep(time.Millisecond)
		}
	}
	for range 20 {
		more()
		l.Gw.Exec(t, "nft", "flush", "ruleset")
		more()
		if err := l.Table().Write(l.Conn); err != nil {
			t.Fatal(err)
		}
	}
	close(end)
	traffic.Wait()
	if l.Quiet() == 0 {
		t.Error("nothing has left at all")
	}
}

// TestEgressBarred: to ask what the kernel can changes nothing, and an ingress qdisc of others is left alone, with a
// warning and without a filter.
func TestEgressBarred(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Converge(t, g.StandIn(t))
	look := func() string {
		return g.Exec(t, "sh", "-c", "tc qdisc; for l in lo eth0 mape0; do tc filter show dev $l egress; tc filter show dev $l ingress; done")
	}
	warned := func() (warning string) {
		g.Do(func() {
			f, err := facts.Gather(g.H)
			if err != nil {
				t.Fatal(err)
			}
			gw := gatewaytest.MustResolve(t, gatewaytest.LineSection, f)
			filtered := slices.ContainsFunc(gateway.Compile(gw, f), func(r engine.Resource) bool { _, ok := r.(resource.Egress); return ok })
			for _, w := range gw.Warnings {
				if strings.Contains(w, "cannot have a filter") {
					warning = w
				}
			}
			if filtered != (warning == "") {
				t.Errorf("with a filter %v, warning %q", filtered, warning)
			}
		})
		return warning
	}
	for _, make := range []string{"true", "tc filter del dev mape0 egress", "tc qdisc del dev mape0 clsact"} {
		g.Exec(t, "sh", "-c", make)
		before := look()
		if w := warned(); w != "" {
			t.Errorf("after %s it says %s", make, w)
		}
		if after := look(); after != before {
			t.Errorf("after %s there was\n%sand is\n%s", make, before, after)
		}
	}
	for _, test := range []struct{ qdisc, want string }{
		{"ingress", "mape0: an ingress qdisc is on the link"},
		{"egress_block 22 clsact", "mape0: the link's clsact has an egress block"},
	} {
		g.Exec(t, "sh", "-c", "tc qdisc del dev mape0 clsact 2>&-; tc qdisc del dev mape0 ingress 2>&-; tc qdisc add dev mape0 "+test.qdisc)
		before := look()
		if w := warned(); !strings.Contains(w, test.want) {
			t.Errorf("%s: it says %q", test.qdisc, w)
		}
		if after := look(); after != before {
			t.Errorf("%s: there was\n%sand is\n%s", test.qdisc, before, after)
		}
		g.Do(func() {
			e := gatewaytest.EgressOf(gatewaytest.NatKinds["ocn"])
			if err := e.Write(t.Context(), g.H); err == nil {
				t.Errorf("%s: a filter was written", test.qdisc)
			}
			if live, err := e.Read(t.Context(), g.H); err != nil || live.Text() != "" {
				t.Errorf("%s: %q, %v", test.qdisc, live.Text(), err)
			}
		})
	}
}

// TestEgressChain: a filter of another chain is not ours, whatever its preference and handle.
func TestEgressChain(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Exec(t, "sh", "-ec", "ip link add mape0 type bridge; tc qdisc add dev mape0 clsact; tc filter add dev mape0 egress chain 5 pref 7597 handle 7597 bpf da bytecode '1,6 0 0 4294967295'")
	e := gatewaytest.EgressOf(gatewaytest.NatKinds["ocn"])
	g.Do(func() {
		read := func() string {
			live, err := e.Read(t.Context(), g.H)
			if err != nil {
				t.Fatal(err)
			}
			return live.Text()
		}
		if got := read(); got != "" {
			t.Errorf("before there is %q", got)
		}
		if err := e.Write(t.Context(), g.H); err != nil || read() != e.Text() {
			t.Errorf("%q, %v", read(), err)
		}
		if err := (resource.Egress{Link: "mape0"}).Write(t.Context(), g.H); err != nil || read() != "" {
			t.Errorf("%q, %v", read(), err)
		}
	})
	if left := g.Exec(t, "tc", "filter", "show", "dev", "mape0", "egress"); !strings.Contains(left, "chain 5") {
		t.Errorf("the other chain has\n%s", left)
	}
}
