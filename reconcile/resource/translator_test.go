package resource_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/softwire"
)

// mapt is the translator of a softwire on the WAN of a test's machine.
func mapt(wan string, ports softwire.Ports, mtu int) resource.Translator {
	return resource.TranslatorOf("mape0", wan, mtu, softwire.Softwire{
		Mode: softwire.MAPT, NAT: true, Inner: netip.MustParsePrefix("192.0.2.8/32"), Ports: ports,
		Carrier: softwire.Translator{Local: netip.MustParseAddr("2001:db8:ce:11b:0:c000:208:1b"), DMR: netip.MustParsePrefix("64:ff9b::/96")},
	})
}

var (
	jool   = softwire.Ports{PSID: 27, PSIDLen: 5}
	others = `tc qdisc add dev eth1 clsact
		tc filter add dev eth1 ingress pref 7 bpf da bytecode '1,6 0 0 4294967295'
		tc filter add dev eth1 egress pref 7599 handle 7599 bpf da bytecode '1,6 0 0 4294967295'
		tc filter add dev eth1 ingress pref 7599 handle 1 protocol ipv6 bpf da bytecode '1,6 0 0 4294967295'`
)

// translatorRig is a machine with a stand-in for the tunnel, and its filters as tc shows them.
func translatorRig(t *testing.T) (*gatewaytest.Machine, func() string) {
	hosttest.NeedBPF(t)
	g := gatewaytest.NewMachine(t)
	g.Exec(t, "sh", "-ec", "ip link add mape0 type bridge; ip link set mape0 up")
	return g, func() string {
		return g.Exec(t, "sh", "-c", "tc qdisc; for l in eth0 eth1 mape0; do for d in ingress egress; do echo $l $d; tc filter show dev $l $d 2>&1 || true; done; done")
	}
}

// TestTranslatorLaws holds the translator to the laws, wherever another state of it was before.
func TestTranslatorLaws(t *testing.T) {
	t.Parallel()
	g, show := translatorRig(t)
	g.Exec(t, "sh", "-ec", others)
	before := show()
	want := mapt("eth1", jool, 1500)
	for _, found := range []resource.Translator{
		{Tunnel: "mape0"},
		mapt("eth1", jool, 1400),
		mapt("eth1", softwire.Ports{PSID: 27, PSIDLen: 5, PSIDOffset: 6}, 1500),
		mapt("eth0", softwire.Ports{}, 0),
		want,
	} {
		g.Converge(t, []engine.Resource{found})
		g.Do(func() { g.Laws(t, want) })
	}
	g.Converge(t, []engine.Resource{want})
	g.Do(func() { g.Laws(t, want.Absent()) })
	g.Converge(t, []engine.Resource{want.Absent()})
	// clsact stays on links that it was put on: another program may rely on it by now.
	if after := strings.NewReplacer("qdisc clsact ffff: dev eth0 parent ffff:fff1 \n", "", "qdisc clsact ffff: dev mape0 parent ffff:fff1 \n", "").Replace(show()); after != before {
		t.Errorf("there was\n%sand is\n%s", before, after)
	}
}

// TestTranslatorDrift finds and repairs what may happen to the programs behind the program's back.
func TestTranslatorDrift(t *testing.T) {
	t.Parallel()
	g, show := translatorRig(t)
	want := []engine.Resource{gatewaytest.EgressOf(gatewaytest.Shared(27, 5, 0)), mapt("eth1", jool, 1500)}
	g.Converge(t, want)
	for _, drift := range []string{
		"tc filter del dev mape0 egress pref 7599",
		"tc filter del dev eth1 ingress pref 7599",
		"tc qdisc del dev mape0 clsact",
		"tc qdisc del dev eth1 clsact",
		"tc filter replace dev mape0 egress pref 7599 handle 7599 bpf da bytecode '1,6 0 0 4294967295'",
		"tc filter replace dev eth1 ingress pref 7599 handle 7599 protocol ipv6 bpf da bytecode '1,6 0 0 0'",
		"ip link del eth1; ip link add eth1 type bridge; ip link set eth1 up",
		"ip link del mape0; ip link add mape0 type bridge; ip link set mape0 up",
		"ip link set eth1 down; ip link set eth0 down; ip link set eth1 name x; ip link set eth0 name eth1; ip link set x name eth0; ip link set eth0 up; ip link set eth1 up",
	} {
		g.Exec(t, "sh", "-ec", drift)
		if changes := hosttest.Names(g.Plan(t, want)); !strings.Contains(strings.Join(changes, "; "), "translator mape0") {
			t.Errorf("%s: a plan has %q\n%s", drift, changes, show())
		}
		g.Converge(t, want)
		if left := g.Plan(t, want); len(left) > 0 {
			t.Errorf("%s: afterwards a plan has %q: %q\n%s", drift, hosttest.Names(left), left[0].Before.Text(), show())
		}
	}
	// What filters comes before what translates.
	if out := g.Exec(t, "tc", "filter", "show", "dev", "mape0", "egress"); strings.Index(out, "pref 7597") > strings.Index(out, "pref 7599") {
		t.Errorf("the filters are\n%s", out)
	}
	// Without the tunnel the program of the WAN is still found, and taken away.
	g.Exec(t, "ip", "link", "del", "mape0")
	g.Converge(t, []engine.Resource{resource.Translator{Tunnel: "mape0"}})
	if left := show(); strings.Contains(left, "7599") {
		t.Errorf("there is left\n%s", left)
	}
}

// TestTranslatorBesideIngress uses an ingress qdisc of others, which leaves no place for clsact on the WAN, and refuses to on
// the tunnel.
func TestTranslatorBesideIngress(t *testing.T) {
	t.Parallel()
	g, show := translatorRig(t)
	g.Exec(t, "tc", "qdisc", "add", "dev", "eth1", "ingress")
	want := mapt("eth1", jool, 1500)
	g.Do(func() { g.Laws(t, want) })
	g.Converge(t, []engine.Resource{want.Absent()})
	g.Exec(t, "sh", "-ec", "tc qdisc del dev mape0 clsact; tc qdisc add dev mape0 ingress")
	before := show()
	g.Do(func() {
		if err := want.Write(t.Context(), g.H); err == nil {
			t.Error("the translator is on a tunnel without clsact")
		}
		live, err := want.Read(t.Context(), g.H)
		if err != nil || live.Text() == want.Text() {
			t.Errorf("%s, %v, from\n%s", live.Text(), err, before)
		}
	})
}

// TestMAPTCompiled has a whole gateway of MAP-T by the laws, and then one of MAP-E in its place.
func TestMAPTCompiled(t *testing.T) {
	t.Parallel()
	g, show := translatorRig(t)
	const section = `{prefix: '2001:db8:ce:11b::/64', wan: eth1, lan: eth0, dmr: '64:ff9b::/96', rules: [{ipv6: '2001:db8:ce::/51', ipv4: 192.0.2.0/24, ea-bits: 13, psid-offset: 0}]}`
	compile := func(section string) []engine.Resource {
		return slices.DeleteFunc(g.Compile(t, section), func(r engine.Resource) bool { _, ok := r.(resource.Tunnel); return ok })
	}
	want := compile(section)
	g.Do(func() {
		for _, r := range want {
			g.Laws(t, r)
		}
	})
	g.Converge(t, want)
	if left := g.Plan(t, compile(section)); len(left) > 0 {
		t.Errorf("afterwards a plan has %q", hosttest.Names(left))
	}
	routes := func() string { return g.Exec(t, "ip", "-6", "route") }
	if r := routes(); !strings.Contains(r, "unreachable 100::1 dev lo proto 97") {
		t.Errorf("the routes are\n%s", r)
	}
	changes := strings.Join(hosttest.Names(g.Converge(t, compile(gatewaytest.LineSection))), "; ")
	if !strings.Contains(changes, "translator mape0") || !strings.Contains(changes, "route unreachable 100::1") {
		t.Errorf("of MAP-T to MAP-E changed %s", changes)
	}
	if left, r := show(), routes(); strings.Contains(left, "7599") || strings.Contains(r, "100::1") {
		t.Errorf("with MAP-E there is left\n%s%s", left, r)
	}
	if left := g.Plan(t, compile(gatewaytest.LineSection)); len(left) > 0 {
		t.Errorf("afterwards a plan has %q", hosttest.Names(left))
	}
	g.Exec(t, "ip", "-6", "route", "add", "unreachable", "100::1")
	g.Do(func() { g.Laws(t, resource.Discard{}); g.Laws(t, resource.Discard{Present: true}) })
	if r := routes(); !strings.Contains(r, "unreachable 100::1") {
		t.Errorf("a route of others is gone:\n%s", r)
	}
}
