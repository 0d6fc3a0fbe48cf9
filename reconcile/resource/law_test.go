package resource_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/sysctld"
)

// TestLaws holds every resource that Compile can produce to the laws, but the tunnel itself. There are no connections
// here: those that Flows deletes cannot be taken back, which TestConntrackStay has.
func TestLaws(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	want := g.StandIn(t)
	g.Do(func() {
		for _, r := range want {
			g.Laws(t, r)
		}
	})
	if changes := g.Plan(t, want); len(changes) > 0 {
		t.Errorf("plan after all: %q", hosttest.Names(changes))
	}
}

// TestLawsOfAbsence takes away what is there, and gives it back.
func TestLawsOfAbsence(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	want := g.StandIn(t)
	g.Converge(t, want)
	g.Do(func() {
		for _, r := range want {
			switch r := r.(type) {
			case resource.File:
				g.Laws(t, resource.File{Path: r.Path})
			case resource.Table:
				g.Laws(t, resource.Table{Table: nft.Table{Name: nat.Name}})
			case resource.Address:
				g.Laws(t, resource.Address{Link: r.Link, Prefix: r.Prefix})
			case resource.Route:
				g.Laws(t, resource.Route{Link: r.Link})
			case resource.Egress:
				g.Laws(t, resource.Egress{Link: r.Link})
			}
		}
	})
}

// TestLawsOfBefore restores what a run may find instead of what it wants, in every detail that Text shows.
func TestLawsOfBefore(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	ce := netip.MustParseAddr("2400:4050:5c71:af00:99:f171:c600:2f00")
	want := g.StandIn(t)
	find := func(name string) engine.Resource {
		i := slices.IndexFunc(want, func(r engine.Resource) bool { return strings.HasPrefix(r.Name(), name) })
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
		{"file /etc/sysctl.d", "printf '# Written by mape-netplan, edited\n' >" + g.Dir + sysctld.Path},
		{"sysctl net/ipv4/ip_forward", "echo 0 >/proc/sys/net/ipv4/ip_forward"},
		{"sysctl net/ipv4/conf", "echo 1 >/proc/sys/net/ipv4/conf/mape0/rp_filter"},
		{"table", "nft 'add table ip mape { comment \"" + nat.Mark + "\"; }; add chain ip mape x; add rule ip mape x drop'"},
	} {
		r := find(found.name)
		gone := r
		switch r := r.(type) {
		case resource.Address:
			gone = resource.Address{Link: r.Link, Prefix: r.Prefix}
		case resource.Route:
			gone = resource.Route{Link: r.Link}
		case resource.Table:
			gone = resource.Table{Table: nft.Table{Name: nat.Name}}
		case resource.Egress:
			gone = resource.Egress{Link: r.Link}
		}
		g.Do(func() {
			if err := gone.Write(t.Context(), g.H); err != nil {
				t.Fatal(err)
			}
		})
		g.Exec(t, "sh", "-c", found.make)
		g.Do(func() { g.Laws(t, r) })
	}
}

// TestDetection waits until the kernel knows that no other host has the CE address, and fails when another host has it.
func TestDetection(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	hosttest.Sysctl(t, g.NS, map[string]string{"ipv6/conf/eth1/accept_dad": "1"})
	ce := resource.Address{Link: "eth1", Prefix: netip.MustParsePrefix("2400:4050:5c71:af00:99:f171:c600:2f00/128"), Present: true}
	if got := hosttest.Names(g.Converge(t, []engine.Resource{ce})); len(got) != 1 {
		t.Errorf("changed %q", got)
	}
	if out := g.Exec(t, "ip", "-6", "address", "show", "dev", "eth1"); !strings.Contains(out, ce.Prefix.String()+" scope global deprecated \n") {
		t.Errorf("the address is\n%s", out)
	}
	// A rollback to what was found while it was tentative has nothing left to do.
	found := ce
	found.Detection = resource.DetectionOf(unix.IFA_F_TENTATIVE)
	if changes := g.Plan(t, []engine.Resource{found}); len(changes) > 0 {
		t.Errorf("a rollback would wait for %q", found.Text())
	}
	if live := (resource.Address{Prefix: ce.Prefix, Present: true, Detection: resource.DetectionOf(unix.IFA_F_TENTATIVE | unix.IFA_F_DADFAILED)}); !strings.Contains(live.Text(), "another host on the link has this address") {
		t.Errorf("a duplicate is %s", live.Text())
	}
}

// TestForeignAddress leaves an address of another file as it is.
func TestForeignAddress(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Exec(t, "ip", "address", "add", "2001:db8::5/64", "dev", "eth1", "preferred_lft", "300", "valid_lft", "600", "nodad")
	r := resource.Address{Link: "eth1", Prefix: netip.MustParsePrefix("2001:db8::5/128"), Foreign: true, Present: true}
	if changes := g.Plan(t, []engine.Resource{r}); len(changes) > 0 {
		t.Errorf("plans %q", hosttest.Names(changes))
	}
	// networkd takes it away for a moment, and has to find no other in its place.
	g.Exec(t, "ip", "address", "del", "2001:db8::5/64", "dev", "eth1")
	back := time.AfterFunc(300*time.Millisecond, func() {
		g.Exec(t, "ip", "address", "add", "2001:db8::5/64", "dev", "eth1", "nodad")
	})
	defer back.Stop()
	g.Converge(t, []engine.Resource{r})
	if out := g.Exec(t, "ip", "-6", "-o", "address", "show", "dev", "eth1", "to", "2001:db8::5"); strings.Count(out, "2001:db8::5/64") != 1 || strings.Contains(out, "/128") {
		t.Errorf("the address is\n%s", out)
	}
}
