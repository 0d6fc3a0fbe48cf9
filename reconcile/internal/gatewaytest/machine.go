// Package gatewaytest has machines and lines in network namespaces for the tests of what makes a gateway.
package gatewaytest

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/provider/hb46pp"
	"mape-netplan/reconcile/resource"
)

// A Drift is something that happens to a gateway behind the program's back.
type Drift struct {
	What, Do string // a shell command; $root is the machine's directory
	Names    string // what a plan says then, "; " between
}

var (
	TableDrifts = []Drift{
		{"table deleted", "nft delete table ip mape", "table ip mape"},
		{"table flushed", "nft flush table ip mape", "table ip mape"},
		{"rule added", "nft add rule ip mape input accept", "table ip mape"},
		{"rule inserted", "nft insert rule ip mape input counter accept", "table ip mape"},
		{"first rule deleted", "nft delete rule ip mape input handle $(nft -a list chain ip mape input | sed -n '/chain\\|hook/d; s/.*# handle //p' | sed q)", "table ip mape"},
		{"chain added", "nft add chain ip mape more", "table ip mape"},
		{"element deleted", "nft delete element ip mape real { $(nft list map ip mape real | sed -n 's/.*elements = { \\([^,]*\\).*/\\1/p') }", "table ip mape"},
	}
	FileDrifts = []Drift{
		{"netplan file edited", "sed -i s/mtu:.*/mtu:\\ 1280/ $root/etc/netplan/99-ipoe-gw.yaml", "file /etc/netplan/99-ipoe-gw.yaml"},
		{"netplan file appended to", "echo '# more' >>$root/etc/netplan/99-ipoe-gw.yaml", "file /etc/netplan/99-ipoe-gw.yaml"},
		{"netplan file readable by all", "chmod 644 $root/etc/netplan/99-ipoe-gw.yaml", "file /etc/netplan/99-ipoe-gw.yaml"},
		{"netplan file deleted", "rm $root/etc/netplan/99-ipoe-gw.yaml", "file /etc/netplan/99-ipoe-gw.yaml"},
		{"drop-in and its directory deleted", "rm -r $root/etc/systemd/network/*.d", "file /etc/systemd/network/10-netplan-mape0.netdev.d/50-mape.conf"},
		{"drop-in emptied", ": >$root/etc/systemd/network/10-netplan-mape0.netdev.d/50-mape.conf", "file /etc/systemd/network/10-netplan-mape0.netdev.d/50-mape.conf"},
		{"sysctl file edited", "sed -i s/=.1/=\\ 0/ $root/etc/sysctl.d/99-mape-gw.conf", "file /etc/sysctl.d/99-mape-gw.conf"},
	}
	LiveDrifts = []Drift{
		{"forwarding off", "echo 0 >/proc/sys/net/ipv4/ip_forward", "sysctl net/ipv4/ip_forward"},
		{"strict filter", "echo 1 >/proc/sys/net/ipv4/conf/mape0/rp_filter", "sysctl net/ipv4/conf/mape0/rp_filter"},
		{"address deleted", "ip address del " + CeOfLine + "/128 dev eth1", "address " + CeOfLine + " dev eth1"},
		{"address preferred", "ip address change " + CeOfLine + "/128 dev eth1 preferred_lft forever", "address " + CeOfLine + " dev eth1"},
		{"address with another length", "ip address del " + CeOfLine + "/128 dev eth1; ip address add " + CeOfLine + "/64 dev eth1 preferred_lft 0", "address " + CeOfLine + " dev eth1"},
		{"route deleted", "ip route del default dev mape0", "route default dev mape0"},
		{"route with a metric", "ip route del default dev mape0; ip route add default dev mape0 scope link proto static metric 100", "route default dev mape0"},
		{"route added beside", "ip route add default dev mape0 scope link metric 100", "route default dev mape0"},
		{"route of another scope", "ip route del default dev mape0; ip route add default via 192.168.1.9 dev mape0 onlink proto static", "route default dev mape0"},
		{"filter deleted", "tc filter del dev mape0 egress pref 7597", "filter mape0 egress"},
		{"filter deleted with its qdisc", "tc qdisc del dev mape0 clsact", "filter mape0 egress"},
		{"filter of another program", "tc filter replace dev mape0 egress pref 7597 handle 7597 bpf da bytecode '1,6 0 0 4294967295'", "filter mape0 egress"},
		{"two at once", "echo 0 >/proc/sys/net/ipv4/ip_forward; rm $root/etc/netplan/99-ipoe-gw.yaml", "file /etc/netplan/99-ipoe-gw.yaml; sysctl net/ipv4/ip_forward"},
	}
)

// Drifts lets each happen: a plan names exactly what it changed, and Converge changes exactly that.
func (g *Machine) Drifts(t *testing.T, want []engine.Resource, all []Drift) {
	for _, d := range all {
		t.Run(d.What, func(t *testing.T) {
			before := g.Snapshot(t)
			g.Exec(t, "env", "root="+g.Dir, "sh", "-ec", d.Do)
			if got := strings.Join(hosttest.Names(g.Plan(t, want)), "; "); got != d.Names {
				t.Fatalf("plan names %q, want %q", got, d.Names)
			}
			if got := strings.Join(hosttest.Names(g.Converge(t, want)), "; "); got != d.Names {
				t.Errorf("converge changed %q, want %q", got, d.Names)
			}
			Unchanged(t, before, g.Snapshot(t))
			if left := hosttest.Names(g.Plan(t, want)); left != nil {
				t.Errorf("afterwards a plan still names %q", left)
			}
		})
	}
}

// Snapshot is what ip, nft and the file system show of the machine, of other programs too.
func (g *Machine) Snapshot(t testing.TB) string {
	t.Helper()
	return g.Exec(t, "env", "root="+g.Dir, "sh", "-ec", `
		# A tunnel that is created again has another index, and with it another place, and another made-up address.
		{ ip -o link; ip -o -d link show type ip6tnl; } | sed 's/^[0-9]*: //; s/ permaddr [^ ]*//; s/ numtxqueues.*//' | sort
		ip -o address show scope global | sed 's/^[0-9]*: //'; ip route; ip -6 route show table all | grep -v fe80 | sort
		nft list tables; nft list chains; ! nft list table ip others 2>&1
		cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/all/rp_filter
		tc qdisc; ! tc filter show dev mape0 egress 2>&1 | sed 's/ id [0-9]*//'
		cd $root; find . -type f ! -name mape-netplan.lock | sort | xargs tail -n +1; find . ! -name mape-netplan.lock | sort | xargs stat -c '%n %a'`)
}

// Unchanged compares snapshots.
func Unchanged(t testing.TB, before, after string) {
	t.Helper()
	if before != after {
		t.Errorf("the machine is not as it was:\n%s", diff.Diff("before", []byte(before), "after", []byte(after)))
	}
}

// A Machine is a machine of its own: a namespace with a WAN and a LAN, and a directory for its files.
type Machine struct {
	*hosttest.NS
	H      *host.Host
	Dir    string
	Others *hosttest.NS // what its cables lead to: "lan" and "line"
	Client hb46pp.Client
}

// NewMachine makes a machine before the first run. The other ends of its cables are in a namespace of their own.
func NewMachine(t testing.TB) *Machine {
	t.Helper()
	g := &Machine{NS: hosttest.NewNS(t), Others: hosttest.NewNS(t)}
	hosttest.Veth(t, g.NS, "eth0", "192.168.1.5/24", g.Others, "lan", "")
	hosttest.Veth(t, g.NS, "eth1", "", g.Others, "line", "")
	// Duplicate address detection takes a second or two each time; TestDetection has it.
	hosttest.Sysctl(t, g.NS, map[string]string{"ipv6/conf/eth1/accept_dad": "0", "ipv6/conf/all/accept_dad": "0"})
	g.H, g.Dir = hosttest.HostOf(t, CloudInit+"-- run/README --\n")
	handle, err := netlink.NewHandleAt(netns.NsHandle(g.FD()), unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(handle.Close)
	if g.H.Sys, err = os.OpenRoot("/proc/sys"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.H.Sys.Close() })
	g.H.Net, g.H.NFT, g.H.NS = handle, nft.OpenNS(g.FD()), g.FD()
	return g
}

// Compile fits the section to the machine as it is now.
func (g *Machine) Compile(t testing.TB, section string) []engine.Resource {
	t.Helper()
	var want []engine.Resource
	g.Do(func() {
		f, err := facts.Gather(g.H)
		if err != nil {
			t.Fatal(err)
		}
		want = gateway.Compile(MustResolve(t, section, f), f)
	})
	return want
}

// StandIn is compile on a kernel without ip6_tunnel: a bridge of the tunnel's name takes the route and the filter, and
// only the tunnel itself is left out.
func (g *Machine) StandIn(t testing.TB) []engine.Resource {
	t.Helper()
	want := g.Compile(t, LineSection)
	g.Exec(t, "ip", "link", "add", "mape0", "type", "bridge")
	g.Exec(t, "ip", "link", "set", "mape0", "up")
	return slices.DeleteFunc(want, func(r engine.Resource) bool { _, ok := r.(resource.Tunnel); return ok })
}

func (g *Machine) Plan(t testing.TB, want []engine.Resource) (changes []engine.Change) {
	t.Helper()
	g.Do(func() {
		var err error
		if changes, err = engine.Plan(t.Context(), g.H, want); err != nil {
			t.Fatal(err)
		}
	})
	return changes
}

func (g *Machine) Converge(t testing.TB, want []engine.Resource) (changes []engine.Change) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	g.Do(func() {
		var err error
		if changes, err = engine.Converge(ctx, g.H, want); err != nil {
			t.Fatal(err)
		}
	})
	return changes
}

// Laws holds a resource to what the engine relies on, on the machine as it is.
func (g *Machine) Laws(t *testing.T, r engine.Resource) {
	t.Helper()
	ctx := t.Context()
	read := func() engine.Resource {
		live, err := r.Read(ctx, g.H)
		if err != nil {
			t.Fatalf("%s: reading: %v", r.Name(), err)
		}
		if live.Name() != r.Name() {
			t.Errorf("%s: its live counterpart is called %s", r.Name(), live.Name())
		}
		return live
	}
	becomes := func(what, want string) {
		t.Helper()
		got := read().Text()
		// The kernel ends duplicate address detection in a thread of its own.
		for end := time.Now().Add(10 * time.Second); got == want+"tentative\n" && time.Now().Before(end); got = read().Text() {
			time.Sleep(time.Millisecond)
		}
		if got != want {
			t.Errorf("%s: %s: is\n%swant\n%s", r.Name(), what, got, want)
		}
	}
	write := func(r engine.Resource) {
		if err := r.Write(ctx, g.H); err != nil {
			t.Fatalf("%s: writing: %v", r.Name(), err)
		}
	}
	before := read()
	for _, what := range []string{"written", "written again"} {
		write(r)
		becomes(what, r.Text())
	}
	if changes, err := engine.Plan(ctx, g.H, []engine.Resource{r}); err != nil || len(changes) > 0 {
		t.Errorf("%s: plan after write: %q, %v", r.Name(), hosttest.Names(changes), err)
	}
	for _, what := range []string{"taken back", "taken back again"} {
		write(before)
		becomes(what, before.Text())
	}
	write(r) // What follows in the list may need it.
	becomes("written anew", r.Text())
}

func (g *Machine) Gather(t testing.TB) (f facts.Facts) {
	t.Helper()
	f, err := facts.Gather(g.H) // in another namespace: the host decides which machine is read
	if err != nil {
		t.Fatal(err)
	}
	return f
}
