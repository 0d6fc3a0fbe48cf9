package reconcile_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/provider/hb46pp"
)

// TestAwaitGuards: while a run waits for the line there is a guard. When the time
// is over it goes with the run, unless there is a tunnel.
func TestAwaitGuards(t *testing.T) {
	for _, tunnel := range []bool{false, true} {
		g := gatewaytest.NewMachine(t)
		if tunnel {
			g.Exec(t, "ip", "link", "add", "mape0", "type", "bridge")
		}
		before := g.Snapshot(t)
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		defer cancel()
		g.Do(func() {
			run := reconcile.NewRun(g.H)
			_, _, err := run.Await(ctx, gatewaytest.SectionOf(t, gatewaytest.Auto), func(error) {
				if out := g.Exec(t, "nft", "list", "table", "ip", "mape"); !strings.Contains(out, `oifname "mape0" drop`) {
					t.Errorf("there is no guard while it waits: %s", out)
				}
			})
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, line.ErrNotYet) {
				t.Errorf("the error is %v", err)
			}
			left, err := run.RestoreTable(t.Context())
			if tunnel != slices.Equal(hosttest.Names(left), []string{"table ip mape"}) || tunnel != (err != nil && strings.Contains(err.Error(), "table ip mape stays, so that nothing leaves by the tunnel mape0 untranslated")) {
				t.Errorf("a tunnel is there: %v: %q is left: %v", tunnel, hosttest.Names(left), err)
			}
		})
		if !tunnel {
			gatewaytest.Unchanged(t, before, g.Snapshot(t))
		} else if out := g.Exec(t, "nft", "list", "tables"); !strings.Contains(out, "mape") {
			t.Error("the guard has gone though there is a tunnel")
		}
	}
}

// TestAwaitMends puts the guard back that is flushed while the line is waited for.
func TestAwaitMends(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Exec(t, "ip", "link", "add", "mape0", "type", "bridge")
	ctx, cancel := context.WithCancel(t.Context())
	waits, done := make(chan bool), make(chan bool)
	go g.Do(func() {
		defer close(done)
		_, _, err := reconcile.NewRun(g.H).Await(ctx, gatewaytest.SectionOf(t, gatewaytest.Auto), func(error) { close(waits) })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
	})
	<-waits
	for range 3 {
		g.Exec(t, "nft", "flush", "ruleset")
		guarded(g, t)
	}
	cancel()
	<-done
}

// guarded waits until nothing gets out by mape0.
func guarded(g *gatewaytest.Machine, t *testing.T) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if out, _ := g.Try("nft", "list", "table", "ip", "mape"); strings.Contains(out, `oifname "mape0" drop`) {
			return
		}
		if time.Since(begin) > gatewaytest.Limit {
			t.Fatal("there is no guard")
		}
	}
}

// TestAwaitGuardsFirst has the guard in place while a resolver that is silent is
// asked for the line's rules.
func TestAwaitGuardsFirst(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Exec(t, "sh", "-ec", "ip link set lo up; ip link add mape0 type bridge; ip address add "+gatewaytest.LineAddress+" dev eth1 nodad")
	var silent *net.UDPConn
	var err error
	g.Do(func() { silent, err = net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback}) })
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	run := reconcile.NewRun(g.H)
	run.Client = hb46pp.Client{
		Servers: []netip.AddrPort{silent.LocalAddr().(*net.UDPAddr).AddrPort()}, Interface: "lo", Loopback: true,
		Limits: hb46pp.Limits{DNS: time.Minute, Server: time.Minute, Total: time.Minute, Body: 1 << 20},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan bool)
	go g.Do(func() {
		defer close(done)
		run.Await(ctx, gatewaytest.SectionOf(t, "{wan: eth1, lan: eth0, provider: discover}"), func(err error) { t.Errorf("the question has ended: %v", err) })
	})
	guarded(g, t)
	silent.SetReadDeadline(time.Now().Add(gatewaytest.Limit))
	if _, err := silent.Read(make([]byte, 512)); err != nil {
		t.Errorf("no query came: %v", err)
	}
	cancel()
	<-done
}
