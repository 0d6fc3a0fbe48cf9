package facts_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
)

// TestDefinitions finds which definition configures which interface.
func TestDefinitions(t *testing.T) {
	for _, test := range []struct{ name, files, want string }{
		{"ID", `
-- etc/netplan/a.yaml --
network: {ethernets: {enp1s0: {addresses: [192.168.1.5/24, {"2001:db8::1/64": {lifetime: 0}}]}}}
`, "ethernets enp1s0 [enp1s0] [192.168.1.5/24 2001:db8::1/64]"},
		{"every section", `
-- etc/netplan/a.yaml --
network:
  version: 2
  renderer: networkd
  ethernets: {enp1s0: {}}
  bridges: {br0: {interfaces: [enp1s0]}}
  bonds: {bond0: {}}
  vlans: {enp2s0.10: {id: 10, link: enp2s0}}
`, "bonds bond0 [bond0] []; bridges br0 [br0] []; ethernets enp1s0 [enp1s0] []; vlans enp2s0.10 [enp2s0.10] []"},
		{"match and set-name", `
-- etc/netplan/a.yaml --
network: {ethernets: {lan: {match: {macaddress: "bc:24:11:00:00:09"}, set-name: eth0}}}
`, "ethernets lan [eth0] []"},
		{"MAC address, of hardware only", `
-- etc/netplan/a.yaml --
network: {ethernets: {lan: {match: {macaddress: "BC:24:11:00:00:01"}}, wan: {match: {macaddress: "bc:24:11:00:00:02"}}}}
`, "ethernets lan [enp1s0] []; ethernets wan [enp2s0] []"},
		{"name glob", `
-- etc/netplan/a.yaml --
network: {ethernets: {all: {match: {name: "enp?s0"}}, none: {match: {name: "wlan*"}}}}
`, "ethernets all [enp1s0 enp2s0] []; ethernets none [] []"},
		{"driver alone", `
-- etc/netplan/a.yaml --
network: {ethernets: {all: {match: {driver: virtio_net}}}}
`, "ethernets all [] []"},
		{"merged by ID", `
-- etc/netplan/10.yaml --
network: {ethernets: {lan: {match: {name: enp1s0}, addresses: [192.168.1.5/24]}}}
-- etc/netplan/20.yaml --
network: {ethernets: {lan: {set-name: eth0, addresses: [10.0.0.1/8]}}}
`, "ethernets lan [eth0] [192.168.1.5/24 10.0.0.1/8]"},
		{"shadowed by name: /run, /etc, /lib", `
-- lib/netplan/a.yaml --
network: {ethernets: {liba: {}}}
-- lib/netplan/b.yaml --
network: {ethernets: {libb: {}}}
-- lib/netplan/c.yaml --
network: {ethernets: {libc: {}}}
-- etc/netplan/a.yaml --
network: {ethernets: {etca: {}}}
-- etc/netplan/b.yaml --
network: {ethernets: {etcb: {}}}
-- run/netplan/a.yaml --
network: {ethernets: {runa: {}}}
`, "ethernets etcb [etcb] []; ethernets libc [libc] []; ethernets runa [runa] []"},
		{"not ours, no other suffix, an empty one", `
-- etc/netplan/99-ipoe-gw.yaml --
network: {ethernets: {ours: {}}}
-- etc/netplan/a.yaml.bak --
network: {ethernets: {bak: {}}}
-- etc/netplan/b.yaml --
-- etc/netplan/c.yaml --
network: {ethernets: {enp1s0: }}
`, "ethernets enp1s0 [enp1s0] []"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := gatewaytest.FactsOf(t, test.files, gatewaytest.LinksOf(t, gatewaytest.KernelLinks))
			var got []string
			for _, d := range f.Definitions {
				got = append(got, fmt.Sprint(d.Section, " ", d.ID, " ", d.Interfaces, " ", d.Addresses))
			}
			if got := strings.Join(got, "; "); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestDefinitionOfSeveral refuses what would reach interfaces that are none of the gateway's business.
func TestDefinitionOfSeveral(t *testing.T) {
	f := gatewaytest.FactsOf(t, `
-- etc/netplan/a.yaml --
network: {ethernets: {all: {match: {name: "enp?s0"}}}}
`, gatewaytest.LinksOf(t, gatewaytest.KernelLinks))
	_, err := gatewaytest.Resolve(gatewaytest.SectionOf(t, "{wan: enp2s0, lan: [], prefix: '2400:4050:5c71:af00::/56'}"), f)
	want := "netplan's definition all configures enp1s0, enp2s0 together, but only enp2s0 may get these settings; give enp2s0 a definition of its own that sorts before it, or have match: select fewer"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestLinksWithoutKernel finds the interfaces that files name.
func TestLinksWithoutKernel(t *testing.T) {
	f := gatewaytest.FactsOf(t, `
-- etc/netplan/a.yaml --
network: {ethernets: {lan: {match: {macaddress: "bc:24:11:00:00:01"}, set-name: eth0, addresses: [192.168.1.5/24]}}, tunnels: {sit1: {mode: sit}}}
-- etc/systemd/network/b.network --
[Match]
Name=eth1 en*
[Address]
Address=10.0.0.1/8
-- etc/systemd/network/10-mape-netplan.network --
# Written by mape-netplan
[Match]
Name=mape0
`, nil)
	var got []string
	for _, l := range f.Links {
		var addresses []netip.Prefix
		for _, a := range l.Addresses {
			addresses = append(addresses, a.Prefix)
		}
		got = append(got, fmt.Sprint(l.Name, addresses, l.NetworkFile))
	}
	want := []string{"eth0[192.168.1.5/24]", "eth1[10.0.0.1/8]/etc/systemd/network/b.network"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestLinkToAbsolutePath reads a netplan file that is a link, as configuration management makes them.
func TestLinkToAbsolutePath(t *testing.T) {
	h, _ := hosttest.HostOf(t, "-- srv/gw.yaml --\nnetwork: {ethernets: {eth0: {}}}\n-- etc/netplan/README --\n")
	if err := h.Root.Symlink("/srv/gw.yaml", "etc/netplan/a.yaml"); err != nil {
		t.Fatal(err)
	}
	if f, err := facts.Gather(h); err != nil || len(f.Definitions) != 1 {
		t.Errorf("%v, %v", f.Definitions, err)
	}
}

// TestResolve chooses WAN, LAN and prefix as the section leaves them open.
func TestResolve(t *testing.T) {
	slaac := gatewaytest.Inet("2400:4050:5c71:af00:be24:11ff:fe00:2/64")
	g := gatewaytest.MustResolve(t, "{}", gatewaytest.Lines(slaac))
	if g.WAN.Name != "eth1" || !slices.Equal(g.LAN, []string{"eth0"}) || g.Tunnel.MTU != 1460 || !g.Netplan || g.Provider != "ocn" || len(g.AllWarnings()) > 0 {
		t.Errorf("%+v", g)
	}
	if ce := "2400:4050:5c71:af00:99:f171:c600:2f00"; g.Softwire.CE().String() != ce {
		t.Errorf("the CE is %s, want %s", g.Softwire.CE(), ce)
	}
	// An empty list is none, and the names of the section come before what is found.
	g = gatewaytest.MustResolve(t, "{lan: [], wan: eth0, mtu: 1400, prefix: '2400:4050:5c71:af00::/56', backend: networkd}", gatewaytest.Lines())
	if g.WAN.Name != "eth0" || len(g.LAN) != 0 || g.Tunnel.MTU != 1400 || g.Netplan {
		t.Errorf("%+v", g)
	}
}

// TestBesideTheLine takes no interface of PPPoE or a VPN for the WAN, whatever its routes.
func TestBesideTheLine(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Exec(t, "sh", "-ec", "ip address add "+gatewaytest.LineAddress+` dev eth1; ip -6 route add default via fe80::1 dev eth1 metric 1024
		for mode in tun tap; do
			ip tuntap add dev $mode mode $mode; ip link set $mode up; ip -6 route append default dev $mode metric 10
		done`)
	if r := gatewaytest.MustResolve(t, "{}", g.Gather(t)); r.WAN.Name != "eth1" {
		t.Errorf("beside links of kinds tun and tap the WAN is %s", r.WAN.Name)
	}
	kinds := []string{"ppp"}
	for _, l := range []netlink.Link{&netlink.Wireguard{}, &netlink.Vti{}, &netlink.Vti{Local: net.IPv4bcast}, &netlink.Xfrmi{}, &netlink.Gretun{}, &netlink.Sittun{}} {
		kinds = append(kinds, l.Type())
	}
	for _, kind := range kinds {
		f := gatewaytest.Lines(gatewaytest.Inet("2400:4050:5c71:af00::5/64"))
		metric := 100
		f.Links[1].Default6 = &metric
		f.Links = append(f.Links, kernel.Link{Name: "other0", Kind: kind, MTU: 1454, Default4: &metric, Default6: new(int), Addresses: []kernel.Inet{gatewaytest.Inet("10.0.0.2/32"), gatewaytest.Inet("240b:10:1234:5600::5/64")}})
		if g := gatewaytest.MustResolve(t, "{}", f); g.WAN.Name != "eth1" || g.Provider != "ocn" || !slices.Equal(g.LAN, []string{"eth0"}) {
			t.Errorf("%s: the WAN is %s, %s, the LAN %s", kind, g.WAN.Name, g.Provider, g.LAN)
		}
	}
}

// TestRouters6 counts routers, not their routes, and keeps the lowest metric of each.
func TestRouters6(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Exec(t, "sh", "-ec", `
		ip -6 route add default via fe80::1 dev eth1 metric 100
		ip -6 route add default via fe80::1 dev eth1 proto ra metric 1024
		ip -6 route add default metric 2048 nexthop via fe80::2 dev eth0 nexthop via fe80::2 dev eth1 nexthop via fe80::3 dev eth1
		ip -6 route add default dev eth1 metric 4096`)
	f := g.Gather(t)
	for name, want := range map[string]string{"eth0": "map[fe80::2:2048]", "eth1": "map[fe80::1:100 fe80::2:2048 fe80::3:2048]"} {
		if l, _ := f.Link(name); fmt.Sprint(l.Routers6) != want {
			t.Errorf("%s has the routers %v, want %s", name, l.Routers6, want)
		}
	}
	gatewaytest.CheckJSON(t, f)
}

// TestPrefixOfLine never takes the prefix from an address that does not tell it.
func TestPrefixOfLine(t *testing.T) {
	other, found := netip.MustParsePrefix("240b:10:1234:5600::1/64"), gatewaytest.Inet("2400:4050:5c71:af00::5/64")
	for name, wrong := range map[string]kernel.Inet{
		"temporary":  {Prefix: other, Temporary: true},
		"deprecated": {Prefix: other, Deprecated: true},
		"link-local": gatewaytest.Inet("fe80::1/64"),
		"unique":     gatewaytest.Inet("fd00:1::1/64"),
		"IPv4":       gatewaytest.Inet("198.51.100.1/24"),
	} {
		if g := gatewaytest.MustResolve(t, "{}", gatewaytest.Lines(wrong, found)); g.Provider != "ocn" {
			t.Errorf("%s: took the prefix of %s", name, wrong.Prefix)
		}
		if _, err := gatewaytest.Resolve(gatewaytest.SectionOf(t, "{}"), gatewaytest.Lines(wrong)); !errors.Is(err, line.ErrNotYet) {
			t.Errorf("%s alone: %v", name, err)
		}
	}
	// Of two that could be, the one that a rule covers.
	if g := gatewaytest.MustResolve(t, "{}", gatewaytest.Lines(gatewaytest.Inet("2001:db8::1/64"), found)); g.Provider != "ocn" {
		t.Errorf("provider %s", g.Provider)
	}
}

// TestNotYet tells what a router advertisement will bring from what nothing will.
func TestNotYet(t *testing.T) {
	noRoute := gatewaytest.Lines(gatewaytest.Inet("2400:4050:5c71:af00::5/64"))
	noRoute.Links[1].Default6 = nil
	for _, test := range []struct {
		name, section string
		facts         facts.Facts
		passes        bool
		want          string
	}{
		{"no route", "{}", noRoute, true, "no interface has an IPv6 default route, so the WAN is not known; wait for a router advertisement, or set mape.wan to one of: eth0, eth1, docker0"},
		{"no address", "{}", gatewaytest.Lines(), true, "eth1 has no global IPv6 address yet, so the line's prefix is not known; wait for a router advertisement, or set mape.prefix"},
		{"no such WAN", "{wan: eth9}", gatewaytest.Lines(), false, "gw.yaml:1:13: mape.wan: there is no interface eth9; there are: eth0, eth1, docker0\n"},
		{"no such LAN", "{lan: [eth0, eth9], prefix: '2400:4050:5c71:af00::/56'}", gatewaytest.Lines(), false, "mape.lan[1]: there is no interface eth9; there are: "},
		{"no such LAN, alone", "{lan: eth9, prefix: '2400:4050:5c71:af00::/56'}", gatewaytest.Lines(), false, "mape.lan: there is no interface eth9; there are: "},
		{"not covered", "{provider: v6plus}", gatewaytest.Lines(gatewaytest.Inet("2400:4050:5c71:af00::5/64")), true, "eth1 has 2400:4050:5c71:af00::5/64: "},
	} {
		_, err := gatewaytest.Resolve(gatewaytest.SectionOf(t, test.section), test.facts)
		if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, line.ErrNotYet) != test.passes {
			t.Errorf("%s: got %v\nwant %s", test.name, err, test.want)
		}
	}
}

// TestOwnedDropIn: the CE address in a drop-in for netplan's file is known with its link, also where networkd does not
// say by which file it configures that, as early at boot.
func TestOwnedDropIn(t *testing.T) {
	const dropIn = "-- etc/systemd/network/10-netplan-line.20.network.d/50-mape.conf --\n" + host.Heading + "[Address]\nAddress=2001:db8::1/128\n"
	for archive, want := range map[string]string{
		dropIn: "[{line.20 2001:db8::1/128}]",
		dropIn + "-- etc/netplan/a.yaml --\nnetwork: {ethernets: {line.20: {match: {name: eth1}}}}\n": "[{eth1 2001:db8::1/128}]",
	} {
		h, _ := hosttest.HostOf(t, archive)
		f, err := facts.Gather(h)
		if got := fmt.Sprint(f.Owned.Addresses); err != nil || got != want {
			t.Errorf("%v, %v; want %s", got, err, want)
		}
	}
}
