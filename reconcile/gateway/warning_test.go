package gateway_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/resource"
)

// resolved looks at the machine and fits the section of a line to it.
func resolved(g *gatewaytest.Machine, t testing.TB) (gw *gateway.Gateway, f facts.Facts, err error) {
	t.Helper()
	g.Do(func() {
		if f, err = facts.Gather(g.H); err != nil {
			t.Fatal(err)
		}
		gw, err = gatewaytest.Resolve(gatewaytest.SectionOf(t, gatewaytest.LineSection), f)
	})
	return gw, f, err
}

// TestRival: a default route is refused that is as good as the tunnel's for most packets, with or without that, and no other.
func TestRival(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	rivals := func(t *testing.T) {
		for route, whose := range map[string]string{
			"default via 192.168.1.1":                                 "eth0",
			"default nexthop via 192.168.1.1 nexthop via 192.168.1.2": "eth0",
			"unreachable default":                                     "unreachable default",
			"blackhole default":                                       "blackhole default",
			"prohibit default":                                        "prohibit default",
			"throw default":                                           "throw default",
			"unreachable default metric 100":                          "",
			"default via 192.168.1.1 metric 100":                      "",
			"default tos 0x10 via 192.168.1.1":                        "",
			"unreachable default tos 0x10":                            "",
			"unreachable 10.0.0.0/8":                                  "",
			"default via 192.168.1.1 table 77":                        "",
			"unreachable 0.0.0.0/8 proto dhcp":                        "",
		} {
			t.Run(route, func(t *testing.T) {
				words := strings.Fields(route)
				g.Exec(t, "ip", append([]string{"route", "prepend"}, words...)...)
				_, _, err := resolved(g, t)
				switch {
				case whose == "" && err != nil:
					t.Errorf("refused: %v", err)
				case whose != "" && (!errors.Is(err, resource.ErrRival) || !strings.HasPrefix(err.Error(), whose+": ")):
					t.Errorf("the error is %v, want %s's", err, whose)
				}
				g.Exec(t, "ip", append([]string{"route", "del"}, words...)...)
			})
		}
	}
	t.Run("before", rivals)
	g.Converge(t, g.StandIn(t))
	t.Run("beside", rivals)
}

// TestStrays: what takes packets to the internet away from the tunnel is warned of in words that tell it, and only that.
func TestStrays(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	want := g.StandIn(t)
	g.Converge(t, want)
	gw, _, err := resolved(g, t)
	if err != nil {
		t.Fatal(err)
	}
	const low, high = "packets of this machine to the internet (1.1.1.1) ", "packets of this machine to the internet (198.41.0.4) "
	const eth0 = "leave by eth0 and not by mape0; "
	rule := low + eth0 + "a rule (see \"ip -4 rule\") has table 77 looked at before the main one, and a route to 0.0.0.0/0 is in it"
	for _, test := range []struct {
		name, do, undo string
		want           []string // how the warnings begin
	}{
		{"nothing", "true", "true", nil},
		{"halves", "ip route add 0.0.0.0/1 via 192.168.1.1; ip route add 128.0.0.0/1 via 192.168.1.1", "ip route del 0.0.0.0/1; ip route del 128.0.0.0/1",
			[]string{low + eth0 + "the route to 0.0.0.0/1", high + eth0 + "the route to 128.0.0.0/1"}},
		{"one half", "ip route add 128.0.0.0/1 via 192.168.1.1", "ip route del 128.0.0.0/1", []string{high + eth0 + "the route to 128.0.0.0/1"}},
		{"all but the private addresses", "ip route add 0.0.0.0/5 via 192.168.1.1", "ip route del 0.0.0.0/5", []string{low + eth0 + "the route to 0.0.0.0/5"}},
		{"a rule", "ip rule add pref 100 lookup 77; ip route add default via 192.168.1.1 table 77", "ip rule del pref 100; ip route flush table 77", []string{rule}},
		{"as wg-quick", "ip rule add not fwmark 51820 table 77; ip rule add table main suppress_prefixlength 0; ip route add default dev eth0 table 77",
			"ip rule del not fwmark 51820 table 77; ip rule del table main suppress_prefixlength 0; ip route flush table 77", []string{rule}},
		{"a rule to nowhere", "ip rule add pref 100 unreachable", "ip rule del pref 100", []string{low + "are dropped (network is unreachable); look at \"ip -4 rule\""}},
		{"unreachable half", "ip route add unreachable 128.0.0.0/1", "ip route del unreachable 128.0.0.0/1", []string{high + "are dropped (no route to host); look at"}},
		{"a next hop that shows no link", "sysctl -qw net.ipv4.nexthop_compat_mode=0; ip nexthop add id 5 via 192.168.1.1 dev eth0; ip route prepend default nhid 5", "ip nexthop del id 5",
			[]string{low + eth0 + "another default route"}},
		{"a type of service", "ip route add default tos 0x10 via 192.168.1.1", "ip route del default tos 0x10 via 192.168.1.1", nil},
		{"a LAN that is not forwarded", "echo 0 >/proc/sys/net/ipv4/conf/eth0/forwarding", "echo 1 >/proc/sys/net/ipv4/conf/eth0/forwarding",
			[]string{"packets that arrive by eth0 are not forwarded: net.ipv4.conf.eth0.forwarding is 0; run \"sysctl -w net.ipv4.conf.eth0.forwarding=1\", "}},
		{"a tunnel that is not forwarded", "echo 0 >/proc/sys/net/ipv4/conf/mape0/forwarding", "echo 1 >/proc/sys/net/ipv4/conf/mape0/forwarding", []string{"packets that arrive by mape0 are not forwarded: "}},
		{"a WAN that is not forwarded", "echo 0 >/proc/sys/net/ipv4/conf/eth1/forwarding", "echo 1 >/proc/sys/net/ipv4/conf/eth1/forwarding", nil},
		{"single hosts", "ip route add 1.1.1.1 via 192.168.1.1; ip route add 198.41.0.0/24 via 192.168.1.1", "ip route del 1.1.1.1; ip route del 198.41.0.0/24", nil},
		{"a source", "ip rule add pref 100 from 192.168.1.5 lookup 77; ip route add default via 192.168.1.1 table 77", "ip rule del pref 100; ip route flush table 77", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			g.Exec(t, "sh", "-ec", test.do)
			changes := g.Plan(t, want)
			var got []string
			g.Do(func() { got = gw.Strays(g.H, changes) })
			if len(changes) > 0 || len(got) != len(test.want) {
				t.Errorf("changes %q, warnings:\n%s", hosttest.Names(changes), strings.Join(got, "\n"))
			}
			for i := range min(len(got), len(test.want)) {
				if !strings.HasPrefix(got[i], test.want[i]) {
					t.Errorf("got  %s\nwant %s", got[i], test.want[i])
				}
			}
			g.Exec(t, "sh", "-ec", test.undo)
		})
	}
	// What a run would repair is not another program's doing.
	g.Exec(t, "ip", "route", "del", "default", "dev", "mape0")
	if got := gw.Strays(g.H, g.Plan(t, want)); len(got) > 0 {
		t.Errorf("without the route: %q", got)
	}
}

// TestOtherRouters warns of every way for the tunnel's packets to another router than the line's.
func TestOtherRouters(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Exec(t, "sh", "-ec", "ip link add eth2 type veth peer name line2; ip link set eth2 up; ip link set line2 up; ip -6 route add default via fe80::1 dev eth1 metric 1024")
	for route, want := range map[string]string{
		"": "",
		"default via fe80::2 dev eth2 metric 2048":        "",
		"default via fe80::1 dev eth2 metric 1024":        "eth2 has an IPv6 default route of metric 1024, and eth1 has one of 1024: packets of the tunnel may leave by eth2; ",
		"default via fe80::1 dev eth2 metric 100":         "eth2 has an IPv6 default route of metric 100, and eth1 has one of 1024: ",
		"default via fe80::2 dev eth1 metric 1024":        "eth1 has 2 IPv6 default routers, ",
		"default via fe80::2 dev eth1 metric 512":         "",
		"default via fe80::1 dev eth1 metric 512":         "", // The same router, as a static route beside its advertisement.
		"2001:380::/32 via fe80::2 dev eth1 metric 1":     "",
		"default via fe80::2 dev eth1 metric 1 table 100": "",
	} {
		t.Run(route, func(t *testing.T) {
			if route != "" {
				words := strings.Fields(route)
				g.Exec(t, "ip", append([]string{"-6", "route", "append"}, words...)...)
				defer g.Exec(t, "ip", append([]string{"-6", "route", "del"}, words...)...)
			}
			gw, _, err := resolved(g, t)
			if err != nil {
				t.Fatal(err)
			}
			got := slices.DeleteFunc(gw.Warnings, func(w string) bool { return !strings.Contains(w, "IPv6 default route") })
			if len(got) != min(1, len(want)) || want != "" && !strings.HasPrefix(got[0], want) {
				t.Errorf("warnings %q, want %q", got, want)
			}
		})
	}
}

// TestPathFrom: of two lines with default routes of one metric the kernel takes one by both addresses of a packet.
func TestPathFrom(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Exec(t, "sh", "-ec", `ip link add eth2 type veth peer name line2; ip link set eth2 up; ip link set line2 up
		ip address add `+gatewaytest.CeOfLine+`/128 dev eth1 nodad
		for link in eth1 eth2; do ip -6 route append default via fe80::1 dev $link metric 1024; done`)
	links := map[string]int{}
	for i := range 32 {
		to := netip.MustParseAddr(fmt.Sprintf("2001:380:a120::%x", i+1))
		p := kernel.PathFrom(g.H, netip.MustParseAddr(gatewaytest.CeOfLine), to)
		if out := g.Exec(t, "ip", "-6", "route", "get", to.String(), "from", gatewaytest.CeOfLine); !strings.Contains(out, "dev "+p.Link+" ") {
			t.Errorf("%s: %+v, and ip says %s", to, p, out)
		}
		links[p.Link]++
	}
	if links["eth1"] == 0 || links["eth2"] == 0 {
		t.Errorf("the paths are by %v", links)
	}
}
