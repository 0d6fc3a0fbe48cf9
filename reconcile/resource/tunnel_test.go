package resource_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/resource"
)

var tunnelDrifts = []gatewaytest.Drift{
	{What: "local changed", Do: "ip link change dev mape0 type ip6tnl local 2001:db8::9", Names: "tunnel mape0"},
	{What: "remote changed", Do: "ip link change dev mape0 type ip6tnl remote 2001:db8::9", Names: "tunnel mape0"},
	{What: "hop limit changed", Do: "ip link change dev mape0 type ip6tnl hoplimit 32", Names: "tunnel mape0"},
	{What: "encapsulation limit", Do: "ip link change dev mape0 type ip6tnl encaplimit 4", Names: "tunnel mape0"},
	{What: "encapsulation limit of 0", Do: "ip link change dev mape0 type ip6tnl encaplimit 0", Names: "tunnel mape0"},
	{What: "mode changed", Do: "ip link change dev mape0 type ip6tnl mode any", Names: "tunnel mape0"},
	{What: "traffic class inherited", Do: "ip link change dev mape0 type ip6tnl tclass inherit", Names: "tunnel mape0"},
	{What: "MTU changed", Do: "ip link set mape0 mtu 1400", Names: "tunnel mape0"},
	{What: "down, which takes the route", Do: "ip link set mape0 down", Names: "tunnel mape0; route default dev mape0"},
	{What: "deleted, which takes all that is on it", Do: "ip link del mape0", Names: "tunnel mape0; filter mape0 egress; sysctl net/ipv4/conf/mape0/rp_filter; route default dev mape0"},
}

// TestTunnelLaws holds the tunnel and what is on it to the laws.
func TestTunnelLaws(t *testing.T) {
	gatewaytest.NeedTunnel(t)
	g := gatewaytest.NewMachine(t)
	want := g.Compile(t, gatewaytest.LineSection)
	tunnel := slices.IndexFunc(want, func(r engine.Resource) bool { _, ok := r.(resource.Tunnel); return ok })
	g.Do(func() {
		g.Laws(t, want[tunnel])
		for _, other := range []func(*resource.Tunnel){
			func(l *resource.Tunnel) { l.Local = l.Remote.Next() },
			func(l *resource.Tunnel) { l.Remote = l.Remote.Next() },
			func(l *resource.Tunnel) { l.HopLimit = 255 },
			func(l *resource.Tunnel) { l.EncapLimit = 4 },
			func(l *resource.Tunnel) { l.EncapLimit = 0 },
			func(l *resource.Tunnel) { l.MTU = 1280 },
			func(l *resource.Tunnel) { l.Up = false },
			func(l *resource.Tunnel) { *l = resource.NoTunnel(l.Link) },
		} {
			live := want[tunnel].(resource.Tunnel)
			other(&live)
			g.Laws(t, live)
		}
		for _, r := range want[tunnel:] {
			g.Laws(t, r)
		}
	})
}

// TestTunnelDrift is TestDrift with a real tunnel in the place of the stand-in.
func TestTunnelDrift(t *testing.T) {
	gatewaytest.NeedTunnel(t)
	g := gatewaytest.NewMachine(t)
	want := g.Compile(t, gatewaytest.LineSection)
	g.Converge(t, want)
	g.Drifts(t, want, slices.Concat(tunnelDrifts, gatewaytest.LiveDrifts[1:]))
}

// TestTunnelInPlace changes the tunnel without making it anew: its index and its counters stay.
func TestTunnelInPlace(t *testing.T) {
	gatewaytest.NeedTunnel(t)
	g := gatewaytest.NewMachine(t)
	g.Converge(t, g.Compile(t, gatewaytest.LineSection))
	before := mape0(g, t)
	changes := hosttest.Names(g.Converge(t, g.Compile(t, strings.Replace(gatewaytest.LineSection, "{", "{mtu: 1400, ", 1))))
	if !slices.Contains(changes, "tunnel mape0") {
		t.Errorf("changed %q", changes)
	}
	after := mape0(g, t)
	if before.Attrs().Index != after.Attrs().Index || after.Attrs().MTU != 1400 {
		t.Errorf("was %+v, is %+v", before.Attrs(), after.Attrs())
	}
	if out := g.Exec(t, "ip", "route", "show", "default"); !strings.Contains(out, "default dev mape0") {
		t.Errorf("the default route is %q", out)
	}
}

func mape0(g *gatewaytest.Machine, t *testing.T) netlink.Link {
	t.Helper()
	link, err := g.H.Net.LinkByName("mape0")
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// TestTunnelLife is a gateway from nothing to nothing: made, made again without a change, renamed, removed, and everything
// is as it was.
func TestTunnelLife(t *testing.T) {
	gatewaytest.NeedTunnel(t)
	g := gatewaytest.NewMachine(t)
	before := g.Snapshot(t)
	g.Converge(t, g.Compile(t, gatewaytest.LineSection))
	index := mape0(g, t).Attrs().Index
	if again := hosttest.Names(g.Converge(t, g.Compile(t, gatewaytest.LineSection))); again != nil || mape0(g, t).Attrs().Index != index {
		t.Errorf("the second run changed %q", again)
	}
	g.Converge(t, g.Compile(t, strings.Replace(gatewaytest.LineSection, "{", "{tunnel: ipoe, ", 1)))
	if out, err := g.Try("ip", "link", "show", "mape0"); err == nil {
		t.Errorf("renamed, the old one is still there: %s", out)
	}
	g.Converge(t, g.Compile(t, gatewaytest.LineSection))
	var nothing []engine.Resource
	g.Do(func() {
		f, err := facts.Gather(g.H)
		if err != nil {
			t.Fatal(err)
		}
		nothing = gateway.Compile(nil, f)
	})
	g.Converge(t, nothing)
	gatewaytest.Unchanged(t, before, g.Snapshot(t))
}

// TestTunnelRollback takes a whole gateway back when it is interrupted after the last write.
func TestTunnelRollback(t *testing.T) {
	gatewaytest.NeedTunnel(t)
	g := gatewaytest.NewMachine(t)
	before := g.Snapshot(t)
	ctx, interrupt := context.WithCancel(t.Context())
	b := hosttest.NewBench(map[string]string{})
	b.Written = func(string) { interrupt() }
	want := append(g.Compile(t, gatewaytest.LineSection), b.Want("last=1")...)
	g.Do(func() {
		_, err := engine.Converge(ctx, g.H, want)
		if err == nil || !strings.HasSuffix(err.Error(), "every change was rolled back") {
			t.Errorf("the error is %v", err)
		}
	})
	gatewaytest.Unchanged(t, before, g.Snapshot(t))
}

// TestTunnelRollbackOfTheLink is TestRollbackOfTheLink with real tunnels.
func TestTunnelRollbackOfTheLink(t *testing.T) {
	gatewaytest.NeedTunnel(t)
	rollbacks(t, func(g *gatewaytest.Machine, t testing.TB, section string) (want []engine.Resource) {
		if section != "" {
			return g.Compile(t, section)
		}
		g.Do(func() {
			f, err := facts.Gather(g.H)
			if err != nil {
				t.Fatal(err)
			}
			want = gateway.Compile(nil, f)
		})
		return want
	})
}

// TestTunnelNameTaken leaves an interface alone that is no tunnel but has its name.
func TestTunnelNameTaken(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	want := g.Compile(t, gatewaytest.LineSection)
	g.Exec(t, "ip", "link", "add", "mape0", "type", "bridge")
	before := g.Snapshot(t)
	g.Do(func() {
		if _, err := engine.Converge(t.Context(), g.H, want); err == nil || !strings.Contains(err.Error(), "tunnel mape0: an interface of that name and of kind bridge is there already") {
			t.Errorf("the error is %v", err)
		}
	})
	gatewaytest.Unchanged(t, before, g.Snapshot(t))
}
