package reconcile

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/provider/hb46pp"
)

// A gatewayNS is a machine of its own: a namespace with a WAN and a LAN, and a directory for its files.
type gatewayNS struct {
	*ns
	h      *Host
	dir    string
	others *ns // what its cables lead to: "lan" and "line"
	client hb46pp.Client
}

// lineSection is what the tests make of a gatewayNS.
const lineSection = "{prefix: '2400:4050:5c71:af00::/56', wan: eth1, lan: eth0}"

const cloudInit = `-- etc/netplan/50-cloud-init.yaml --
network: {version: 2, ethernets: {eth0: {addresses: [192.168.1.5/24]}, eth1: {}}}
-- etc/sysctl.d/README --
-- etc/systemd/network/README --
-- usr/sbin/netplan --
`

// newGateway makes a machine before the first run. The other ends of its cables are in a namespace of their own.
func newGateway(t testing.TB) *gatewayNS {
	t.Helper()
	g := &gatewayNS{ns: newNS(t), others: newNS(t)}
	veth(t, g.ns, "eth0", "192.168.1.5/24", g.others, "lan", "")
	veth(t, g.ns, "eth1", "", g.others, "line", "")
	// Duplicate address detection takes a second or two each time; TestDetection has it.
	sysctl(t, g.ns, map[string]string{"ipv6/conf/eth1/accept_dad": "0", "ipv6/conf/all/accept_dad": "0"})
	g.h, g.dir = hostOf(t, cloudInit)
	handle, err := netlink.NewHandleAt(netns.NsHandle(g.fd()), unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(handle.Close)
	if g.h.Sys, err = os.OpenRoot("/proc/sys"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.h.Sys.Close() })
	g.h.Net, g.h.NFT, g.h.NS = handle, nft.OpenNS(g.fd()), g.fd()
	return g
}

// compile fits the section to the machine as it is now.
func (g *gatewayNS) compile(t testing.TB, section string) []Resource {
	t.Helper()
	var want []Resource
	g.do(func() {
		f, err := Gather(g.h)
		if err != nil {
			t.Fatal(err)
		}
		want = Compile(mustResolve(t, section, f), f)
	})
	return want
}

// standIn is compile on a kernel without ip6_tunnel: a bridge of the tunnel's name takes the route and the filter, and
// only the tunnel itself is left out.
func (g *gatewayNS) standIn(t testing.TB) []Resource {
	t.Helper()
	want := g.compile(t, lineSection)
	g.run(t, "ip", "link", "add", "mape0", "type", "bridge")
	g.run(t, "ip", "link", "set", "mape0", "up")
	return slices.DeleteFunc(want, func(r Resource) bool { _, ok := r.(Tunnel); return ok })
}

func (g *gatewayNS) plan(t testing.TB, want []Resource) (changes []Change) {
	t.Helper()
	g.do(func() {
		var err error
		if changes, err = Plan(t.Context(), g.h, want); err != nil {
			t.Fatal(err)
		}
	})
	return changes
}

func (g *gatewayNS) converge(t testing.TB, want []Resource) (changes []Change) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	g.do(func() {
		var err error
		if changes, err = Converge(ctx, g.h, want); err != nil {
			t.Fatal(err)
		}
	})
	return changes
}

// names of what changes.
func names(changes []Change) (all []string) {
	for _, c := range changes {
		all = append(all, c.After.Name())
	}
	return all
}

// laws holds a resource to what the engine relies on, on the machine as it is.
func (g *gatewayNS) laws(t *testing.T, r Resource) {
	t.Helper()
	ctx := t.Context()
	read := func() Resource {
		live, err := r.Read(ctx, g.h)
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
	write := func(r Resource) {
		if err := r.Write(ctx, g.h); err != nil {
			t.Fatalf("%s: writing: %v", r.Name(), err)
		}
	}
	before := read()
	for _, what := range []string{"written", "written again"} {
		write(r)
		becomes(what, r.Text())
	}
	if changes, err := Plan(ctx, g.h, []Resource{r}); err != nil || len(changes) > 0 {
		t.Errorf("%s: plan after write: %q, %v", r.Name(), names(changes), err)
	}
	for _, what := range []string{"taken back", "taken back again"} {
		write(before)
		becomes(what, before.Text())
	}
	write(r) // What follows in the list may need it.
	becomes("written anew", r.Text())
}

// TestLaws holds every resource that Compile can produce to the laws, but the tunnel itself. There are no connections
// here: those that Flows deletes cannot be taken back, which TestFlowsStay has.
func TestLaws(t *testing.T) {
	g := newGateway(t)
	want := g.standIn(t)
	g.do(func() {
		for _, r := range want {
			g.laws(t, r)
		}
	})
	if changes := g.plan(t, want); len(changes) > 0 {
		t.Errorf("plan after all: %q", names(changes))
	}
}

// TestLawsOfAbsence takes away what is there, and gives it back.
func TestLawsOfAbsence(t *testing.T) {
	g := newGateway(t)
	want := g.standIn(t)
	g.converge(t, want)
	g.do(func() {
		for _, r := range want {
			switch r := r.(type) {
			case File:
				g.laws(t, File{Path: r.Path})
			case Table:
				g.laws(t, Table{nft.Table{Name: tableName}})
			case Address:
				g.laws(t, Address{Link: r.Link, Prefix: r.Prefix})
			case Route:
				g.laws(t, Route{Link: r.Link})
			case Egress:
				g.laws(t, Egress{Link: r.Link})
			}
		}
	})
}

// TestLawsOfBefore restores what a run may find instead of what it wants, in every detail that Text shows.
func TestLawsOfBefore(t *testing.T) {
	g := newGateway(t)
	ce := netip.MustParseAddr("2400:4050:5c71:af00:99:f171:c600:2f00")
	want := g.standIn(t)
	find := func(name string) Resource {
		i := slices.IndexFunc(want, func(r Resource) bool { return strings.HasPrefix(r.Name(), name) })
		if i < 0 {
			t.Fatal("nothing is called ", name)
		}
		return want[i]
	}
	for _, found := range []struct{ name, make string }{
		{"address", "ip address add " + ce.String() + "/64 dev eth1 nodad"},
		{"address", "ip address add " + ce.String() + "/128 dev eth1 nodad"},
		{"route", "ip route add default dev mape0 metric 50"},
		{"route", "ip route add default via 192.168.7.1 dev mape0 onlink mtu 1200"},
		{"filter", "tc qdisc add dev mape0 clsact"},
		{"filter", "tc qdisc add dev mape0 clsact; tc filter add dev mape0 egress pref 1 bpf da bytecode '1,6 0 0 4294967295'"},
		{"filter", "tc filter add dev mape0 egress pref 7597 handle 7597 bpf da bytecode '2,48 0 0 0,6 0 0 2'"},
		{"filter", "tc filter add dev mape0 egress pref 7597 handle 7597 bpf classid 1:1 bytecode '1,6 0 0 0'"},
		{"filter", "tc filter add dev mape0 egress pref 7597 handle 8 bpf da bytecode '1,6 0 0 4294967295'"},
		{"file /etc/sysctl.d", "printf '# Written by mape-netplan, edited\n' >" + g.dir + sysctlPath},
		{"sysctl net/ipv4/ip_forward", "echo 0 >/proc/sys/net/ipv4/ip_forward"},
		{"sysctl net/ipv4/conf", "echo 1 >/proc/sys/net/ipv4/conf/mape0/rp_filter"},
		{"table", "nft add table ip mape; nft add chain ip mape x; nft add rule ip mape x drop"},
	} {
		r := find(found.name)
		gone := r
		switch r := r.(type) {
		case Address:
			gone = Address{Link: r.Link, Prefix: r.Prefix}
		case Route:
			gone = Route{Link: r.Link}
		case Table:
			gone = Table{nft.Table{Name: tableName}}
		case Egress:
			gone = Egress{Link: r.Link}
		}
		g.do(func() {
			if err := gone.Write(t.Context(), g.h); err != nil {
				t.Fatal(err)
			}
		})
		g.run(t, "sh", "-c", found.make)
		g.do(func() { g.laws(t, r) })
	}
}

// TestDetection waits until the kernel knows that nobody else has the CE address, and fails when somebody has it.
func TestDetection(t *testing.T) {
	g := newGateway(t)
	sysctl(t, g.ns, map[string]string{"ipv6/conf/eth1/accept_dad": "1"})
	ce := Address{Link: "eth1", Prefix: netip.MustParsePrefix("2400:4050:5c71:af00:99:f171:c600:2f00/128"), Present: true}
	if got := names(g.converge(t, []Resource{ce})); len(got) != 1 {
		t.Errorf("changed %q", got)
	}
	if out := g.run(t, "ip", "-6", "address", "show", "dev", "eth1"); !strings.Contains(out, ce.Prefix.String()+" scope global deprecated \n") {
		t.Errorf("the address is\n%s", out)
	}
	// A rollback to what was found while it was tentative has nothing left to do.
	found := ce
	found.Detection = detection(unix.IFA_F_TENTATIVE)
	if changes := g.plan(t, []Resource{found}); len(changes) > 0 {
		t.Errorf("a rollback would wait for %q", found.Text())
	}
	if live := (Address{Prefix: ce.Prefix, Present: true, Detection: detection(unix.IFA_F_TENTATIVE | unix.IFA_F_DADFAILED)}); !strings.Contains(live.Text(), "another host on the link has this address") {
		t.Errorf("a duplicate is %s", live.Text())
	}
}

// TestForeignAddress leaves an address of somebody else as it is.
func TestForeignAddress(t *testing.T) {
	g := newGateway(t)
	g.run(t, "ip", "address", "add", "2001:db8::5/64", "dev", "eth1", "preferred_lft", "300", "valid_lft", "600", "nodad")
	r := Address{Link: "eth1", Prefix: netip.MustParsePrefix("2001:db8::5/128"), Foreign: true, Present: true}
	if changes := g.plan(t, []Resource{r}); len(changes) > 0 {
		t.Errorf("plans %q", names(changes))
	}
}
