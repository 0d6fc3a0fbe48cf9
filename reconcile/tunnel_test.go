package reconcile

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// needTunnel skips a test of real tunnels on a kernel without any: the VM tier runs this binary again, where a skip
// would hide a hole.
func needTunnel(t testing.TB) {
	t.Helper()
	// Once made and deleted, the module is loaded, and a new namespace has its ip6tnl0 from the beginning.
	out, err := tryTunnel(t)
	if err == nil {
		return
	}
	if os.Getenv("MAPE_VM") == "1" {
		t.Fatalf("the VM has no ip6_tunnel: %v: %s", err, out)
	}
	t.Skip("needs a real ip6_tunnel: the VM tier runs this inside the VM")
}

// tryTunnel makes a tunnel, which tells whether the kernel has ip6_tunnel.
func tryTunnel(t testing.TB) (string, error) {
	return newNS(t).try("ip", "link", "add", "probe0", "type", "ip6tnl", "mode", "ipip6", "local", "2001:db8::1", "remote", "2001:db8::2")
}

var tunnelDrifts = []drift{
	{"local changed", "ip link change dev mape0 type ip6tnl local 2001:db8::9", "tunnel mape0"},
	{"remote changed", "ip link change dev mape0 type ip6tnl remote 2001:db8::9", "tunnel mape0"},
	{"hop limit changed", "ip link change dev mape0 type ip6tnl hoplimit 32", "tunnel mape0"},
	{"encapsulation limit", "ip link change dev mape0 type ip6tnl encaplimit 4", "tunnel mape0"},
	{"encapsulation limit of 0", "ip link change dev mape0 type ip6tnl encaplimit 0", "tunnel mape0"},
	{"mode changed", "ip link change dev mape0 type ip6tnl mode any", "tunnel mape0"},
	{"traffic class inherited", "ip link change dev mape0 type ip6tnl tclass inherit", "tunnel mape0"},
	{"MTU changed", "ip link set mape0 mtu 1400", "tunnel mape0"},
	{"down, which takes the route", "ip link set mape0 down", "tunnel mape0; route default dev mape0"},
	{"deleted, which takes all that is on it", "ip link del mape0", "tunnel mape0; filter mape0 egress; sysctl net/ipv4/conf/mape0/rp_filter; route default dev mape0"},
}

// TestTunnelLaws holds the tunnel and what is on it to the laws.
func TestTunnelLaws(t *testing.T) {
	needTunnel(t)
	g := newGateway(t)
	want := g.compile(t, lineSection)
	tunnel := slices.IndexFunc(want, func(r Resource) bool { _, ok := r.(Tunnel); return ok })
	g.do(func() {
		g.laws(t, want[tunnel])
		for _, other := range []func(*Tunnel){
			func(l *Tunnel) { l.Local = l.Remote.Next() },
			func(l *Tunnel) { l.Remote = l.Remote.Next() },
			func(l *Tunnel) { l.HopLimit = 255 },
			func(l *Tunnel) { l.EncapLimit = 4 },
			func(l *Tunnel) { l.EncapLimit = 0 },
			func(l *Tunnel) { l.MTU = 1280 },
			func(l *Tunnel) { l.Up = false },
			func(l *Tunnel) { *l = Tunnel{Link: l.Link} },
		} {
			live := want[tunnel].(Tunnel)
			other(&live)
			g.laws(t, live)
		}
		for _, r := range want[tunnel:] {
			g.laws(t, r)
		}
	})
}

// TestTunnelDrift is TestDrift with a real tunnel in the place of the stand-in.
func TestTunnelDrift(t *testing.T) {
	needTunnel(t)
	g := newGateway(t)
	want := g.compile(t, lineSection)
	g.converge(t, want)
	g.drifts(t, want, slices.Concat(tunnelDrifts, liveDrifts[1:]))
}

// TestTunnelInPlace changes the tunnel without making it anew: its index and its counters stay.
func TestTunnelInPlace(t *testing.T) {
	needTunnel(t)
	g := newGateway(t)
	g.converge(t, g.compile(t, lineSection))
	before := g.mape0(t)
	changes := names(g.converge(t, g.compile(t, strings.Replace(lineSection, "{", "{mtu: 1400, ", 1))))
	if !slices.Contains(changes, "tunnel mape0") {
		t.Errorf("changed %q", changes)
	}
	after := g.mape0(t)
	if before.Attrs().Index != after.Attrs().Index || after.Attrs().MTU != 1400 {
		t.Errorf("was %+v, is %+v", before.Attrs(), after.Attrs())
	}
	if out := g.run(t, "ip", "route", "show", "default"); !strings.Contains(out, "default dev mape0") {
		t.Errorf("the default route is %q", out)
	}
}

func (g *gatewayNS) mape0(t *testing.T) netlink.Link {
	t.Helper()
	link, err := g.h.Net.LinkByName("mape0")
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// TestTunnelLife is a gateway from nothing to nothing: made, made again without a change, renamed, removed, and everything
// is as it was.
func TestTunnelLife(t *testing.T) {
	needTunnel(t)
	g := newGateway(t)
	before := g.snapshot(t)
	g.converge(t, g.compile(t, lineSection))
	index := g.mape0(t).Attrs().Index
	if again := names(g.converge(t, g.compile(t, lineSection))); again != nil || g.mape0(t).Attrs().Index != index {
		t.Errorf("the second run changed %q", again)
	}
	g.converge(t, g.compile(t, strings.Replace(lineSection, "{", "{tunnel: ipoe, ", 1)))
	if out, err := g.try("ip", "link", "show", "mape0"); err == nil {
		t.Errorf("renamed, the old one is still there: %s", out)
	}
	g.converge(t, g.compile(t, lineSection))
	var nothing []Resource
	g.do(func() {
		f, err := Gather(g.h)
		if err != nil {
			t.Fatal(err)
		}
		nothing = Compile(nil, f)
	})
	g.converge(t, nothing)
	unchanged(t, before, g.snapshot(t))
}

// TestTunnelRollback takes a whole gateway back when it is interrupted after the last write.
func TestTunnelRollback(t *testing.T) {
	needTunnel(t)
	g := newGateway(t)
	before := g.snapshot(t)
	ctx, interrupt := context.WithCancel(t.Context())
	b := newBench(map[string]string{})
	b.written = func(string) { interrupt() }
	want := append(g.compile(t, lineSection), b.want("last=1")...)
	g.do(func() {
		_, err := Converge(ctx, g.h, want)
		if err == nil || !strings.HasSuffix(err.Error(), "every change was rolled back") {
			t.Errorf("the error is %v", err)
		}
	})
	unchanged(t, before, g.snapshot(t))
}

// TestTunnelRollbackOfTheLink is TestRollbackOfTheLink with real tunnels.
func TestTunnelRollbackOfTheLink(t *testing.T) {
	needTunnel(t)
	rollbacks(t, func(g *gatewayNS, t testing.TB, section string) (want []Resource) {
		if section != "" {
			return g.compile(t, section)
		}
		g.do(func() {
			f, err := Gather(g.h)
			if err != nil {
				t.Fatal(err)
			}
			want = Compile(nil, f)
		})
		return want
	})
}

// TestTunnelNameTaken leaves an interface alone that is no tunnel but has its name.
func TestTunnelNameTaken(t *testing.T) {
	g := newGateway(t)
	want := g.compile(t, lineSection)
	g.run(t, "ip", "link", "add", "mape0", "type", "bridge")
	before := g.snapshot(t)
	g.do(func() {
		if _, err := Converge(t.Context(), g.h, want); err == nil || !strings.Contains(err.Error(), "tunnel mape0: an interface of that name and of kind bridge is there already") {
			t.Errorf("the error is %v", err)
		}
	})
	unchanged(t, before, g.snapshot(t))
}
