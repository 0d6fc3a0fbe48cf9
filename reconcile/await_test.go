package reconcile

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/provider/hb46pp"
)

// TestAwaitGuards: whoever waits for the line has a guard meanwhile. When the
// time is over it goes with the run, unless there is a tunnel.
func TestAwaitGuards(t *testing.T) {
	for _, tunnel := range []bool{false, true} {
		g := newGateway(t)
		if tunnel {
			g.run(t, "ip", "link", "add", "mape0", "type", "bridge")
		}
		before := g.snapshot(t)
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		defer cancel()
		g.do(func() {
			run := NewRun(g.h)
			_, _, err := run.Await(ctx, sectionOf(t, auto), func(error) {
				if out := g.run(t, "nft", "list", "table", "ip", "mape"); !strings.Contains(out, `oifname "mape0" drop`) {
					t.Errorf("there is no guard while it waits: %s", out)
				}
			})
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrNotYet) {
				t.Errorf("the error is %v", err)
			}
			left, err := run.Unguard(t.Context())
			if tunnel != slices.Equal(names(left), []string{"table ip mape"}) || tunnel != (err != nil && strings.Contains(err.Error(), "table ip mape stays, so that nothing leaves by the tunnel mape0 untranslated")) {
				t.Errorf("a tunnel is there: %v: %q is left: %v", tunnel, names(left), err)
			}
		})
		if !tunnel {
			unchanged(t, before, g.snapshot(t))
		} else if out := g.run(t, "nft", "list", "tables"); !strings.Contains(out, "mape") {
			t.Error("the guard has gone though there is a tunnel")
		}
	}
}

// TestAwaitMends puts the guard back that somebody flushes while the line is
// waited for.
func TestAwaitMends(t *testing.T) {
	g := newGateway(t)
	g.run(t, "ip", "link", "add", "mape0", "type", "bridge")
	ctx, cancel := context.WithCancel(t.Context())
	waits, done := make(chan bool), make(chan bool)
	go g.do(func() {
		defer close(done)
		_, _, err := NewRun(g.h).Await(ctx, sectionOf(t, auto), func(error) { close(waits) })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
	})
	<-waits
	for range 3 {
		g.run(t, "nft", "flush", "ruleset")
		g.guarded(t, 2*time.Second)
	}
	cancel()
	<-done
}

// guarded waits until nothing gets out by mape0.
func (g *gatewayNS) guarded(t *testing.T, most time.Duration) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if out, _ := g.try("nft", "list", "table", "ip", "mape"); strings.Contains(out, `oifname "mape0" drop`) {
			return
		}
		if time.Since(begin) > most {
			t.Fatalf("there is no guard in %v", most)
		}
	}
}

// TestAwaitGuardsFirst has the guard in place while a resolver that is silent is
// asked for the line's rules.
func TestAwaitGuardsFirst(t *testing.T) {
	g := newGateway(t)
	g.run(t, "sh", "-ec", "ip link set lo up; ip link add mape0 type bridge; ip address add "+lineAddress+" dev eth1 nodad")
	var silent *net.UDPConn
	var err error
	g.do(func() { silent, err = net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback}) })
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	run := NewRun(g.h)
	run.Client = hb46pp.Client{
		Servers: []netip.AddrPort{silent.LocalAddr().(*net.UDPAddr).AddrPort()}, Interface: "lo", Loopback: true,
		Limits: hb46pp.Limits{DNS: time.Minute, Server: time.Minute, Total: time.Minute, Body: 1 << 20},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan bool)
	go g.do(func() {
		defer close(done)
		run.Await(ctx, sectionOf(t, "{wan: eth1, lan: eth0, provider: discover}"), func(err error) { t.Errorf("the question has ended: %v", err) })
	})
	g.guarded(t, 5*time.Second)
	silent.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := silent.Read(make([]byte, 512)); err != nil {
		t.Errorf("nobody has asked: %v", err)
	}
	cancel()
	<-done
}
