package resource_test

import (
	"path/filepath"
	"strings"
	"testing"

	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
)

// TestTunnelOverOddWAN takes a gateway whose WAN is no plain Ethernet interface from nothing to a packet that comes back,
// and to nothing again. The router's end is the same interface, but for the VLAN's.
func TestTunnelOverOddWAN(t *testing.T) {
	gatewaytest.NeedTunnel(t)
	for _, wan := range []struct{ name, file, text, add, router string }{
		{"br0.20", "etc/netplan/60.yaml", "network: {bridges: {br0: {interfaces: [eth1]}}, vlans: {br0.20: {id: 20, link: br0}}}\n",
			"ip link add br0 type bridge; ip link set eth1 master br0; ip link set br0 up; ip link add link br0 name br0.20 type vlan id 20", "line.20"},
		{"bond0", "etc/netplan/60.yaml", "network: {bonds: {bond0: {interfaces: [eth1], parameters: {mode: active-backup}}}}\n",
			"ip link add bond0 type bond mode active-backup miimon 100; ip link set eth1 down; ip link set eth1 master bond0", "line"},
		{"macvlan0", "etc/systemd/network/60.network", "[Match]\nName=macvlan0\n",
			"ip link add link eth1 name macvlan0 type macvlan mode bridge", "line"},
	} {
		t.Run(wan.name, func(t *testing.T) {
			g := gatewaytest.NewMachine(t)
			hosttest.WriteFile(t, filepath.Join(g.Dir, wan.file), wan.text)
			hosttest.Sysctl(t, g.NS, map[string]string{"ipv6/conf/default/accept_dad": "0"})
			g.Exec(t, "sh", "-ec", wan.add+"; ip link set $0 up; ip address add "+gatewaytest.LineAddress+" dev $0 nodad; ip -6 route add default via fe80::1 dev $0", wan.name)
			g.Others.Exec(t, "sh", "-ec", `[ $0 = line ] || ip link add link line name $0 type vlan id 20; ip link set $0 up
				ip address add fe80::1/64 dev $0 nodad; ip address add 2001:380:a120::9/128 dev $0 nodad; ip -6 route add default dev $0
				ip link add relay type ip6tnl mode ipip6 local 2001:380:a120::9 remote `+gatewaytest.CeOfLine+` encaplimit none
				ip link set relay up; ip address add 203.0.113.10/32 dev relay; ip route add 153.241.113.198 dev relay`, wan.router)
			section := "{wan: " + wan.name + ", lan: eth0}"
			before := g.Snapshot(t)
			g.Converge(t, g.Compile(t, section))
			if left := hosttest.Names(g.Plan(t, g.Compile(t, section))); left != nil {
				t.Errorf("a plan still names %q", left)
			}
			if out, err := g.Try("ping", "-c", "3", "-i", "0.2", "-W", "5", "203.0.113.10"); err != nil {
				t.Errorf("nothing comes back: %v\n%s%s", err, out, g.Exec(t, "sh", "-c", "ip -6 route; ip -6 neigh; ip -s link show mape0"))
			}
			if out := g.Exec(t, "grep", "-rl", gatewaytest.CeOfLine, g.Dir+"/etc"); !strings.Contains(out, "10-netplan-"+wan.name+".network.d") && !strings.Contains(out, "60.network.d") {
				t.Errorf("no file gives %s the CE address, but\n%s", wan.name, out)
			}
			g.Converge(t, gateway.Compile(nil, g.Gather(t)))
			gatewaytest.Unchanged(t, before, g.Snapshot(t))
		})
	}
}
