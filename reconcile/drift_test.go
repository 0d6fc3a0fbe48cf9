package reconcile

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
)

// A drift is something that happens to a gateway behind the program's back.
type drift struct {
	what, do string // a shell command; $root is the machine's directory
	names    string // what a plan says then, "; " between
}

const ceOfLine = "2400:4050:5c71:af00:99:f171:c600:2f00"

var (
	tableDrifts = []drift{
		{"table deleted", "nft delete table ip mape", "table ip mape"},
		{"table flushed", "nft flush table ip mape", "table ip mape"},
		{"rule added", "nft add rule ip mape input accept", "table ip mape"},
		{"rule inserted", "nft insert rule ip mape input counter accept", "table ip mape"},
		{"first rule deleted", "nft delete rule ip mape input handle $(nft -a list chain ip mape input | sed -n '/chain\\|hook/d; s/.*# handle //p' | sed q)", "table ip mape"},
		{"chain added", "nft add chain ip mape more", "table ip mape"},
		{"element deleted", "nft delete element ip mape real { $(nft list map ip mape real | sed -n 's/.*elements = { \\([^,]*\\).*/\\1/p') }", "table ip mape"},
	}
	fileDrifts = []drift{
		{"netplan file edited", "sed -i s/mtu:.*/mtu:\\ 1280/ $root/etc/netplan/99-ipoe-gw.yaml", "file /etc/netplan/99-ipoe-gw.yaml"},
		{"netplan file appended to", "echo '# more' >>$root/etc/netplan/99-ipoe-gw.yaml", "file /etc/netplan/99-ipoe-gw.yaml"},
		{"netplan file readable by all", "chmod 644 $root/etc/netplan/99-ipoe-gw.yaml", "file /etc/netplan/99-ipoe-gw.yaml"},
		{"netplan file deleted", "rm $root/etc/netplan/99-ipoe-gw.yaml", "file /etc/netplan/99-ipoe-gw.yaml"},
		{"drop-in and its directory deleted", "rm -r $root/etc/systemd/network/*.d", "file /etc/systemd/network/10-netplan-mape0.netdev.d/50-mape.conf"},
		{"drop-in emptied", ": >$root/etc/systemd/network/10-netplan-mape0.netdev.d/50-mape.conf", "file /etc/systemd/network/10-netplan-mape0.netdev.d/50-mape.conf"},
		{"sysctl file edited", "sed -i s/=.1/=\\ 0/ $root/etc/sysctl.d/99-mape-gw.conf", "file /etc/sysctl.d/99-mape-gw.conf"},
	}
	liveDrifts = []drift{
		{"forwarding off", "echo 0 >/proc/sys/net/ipv4/ip_forward", "sysctl net/ipv4/ip_forward"},
		{"strict filter", "echo 1 >/proc/sys/net/ipv4/conf/mape0/rp_filter", "sysctl net/ipv4/conf/mape0/rp_filter"},
		{"address deleted", "ip address del " + ceOfLine + "/128 dev eth1", "address " + ceOfLine + " dev eth1"},
		{"address preferred", "ip address change " + ceOfLine + "/128 dev eth1 preferred_lft forever", "address " + ceOfLine + " dev eth1"},
		{"address with another length", "ip address del " + ceOfLine + "/128 dev eth1; ip address add " + ceOfLine + "/64 dev eth1 preferred_lft 0", "address " + ceOfLine + " dev eth1"},
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

// drifts lets each happen: a plan names exactly what it changed, and Converge changes exactly that.
func (g *gatewayNS) drifts(t *testing.T, want []Resource, all []drift) {
	for _, d := range all {
		t.Run(d.what, func(t *testing.T) {
			before := g.snapshot(t)
			g.run(t, "env", "root="+g.dir, "sh", "-ec", d.do)
			if got := strings.Join(names(g.plan(t, want)), "; "); got != d.names {
				t.Fatalf("plan names %q, want %q", got, d.names)
			}
			if got := strings.Join(names(g.converge(t, want)), "; "); got != d.names {
				t.Errorf("converge changed %q, want %q", got, d.names)
			}
			unchanged(t, before, g.snapshot(t))
			if left := names(g.plan(t, want)); left != nil {
				t.Errorf("afterwards a plan still names %q", left)
			}
		})
	}
}

// snapshot is what ip, nft and the file system show of the machine, whoever it belongs to.
func (g *gatewayNS) snapshot(t testing.TB) string {
	t.Helper()
	return g.run(t, "env", "root="+g.dir, "sh", "-ec", `
		# A tunnel that is made again has another index and another made-up address.
		{ ip link; ip -d link show type ip6tnl; } | sed 's/^[0-9]*: mape0/mape0/; s/ permaddr [^ ]*//; s/ numtxqueues.*//'
		ip -o address show scope global; ip route; ip -6 route show table all | grep -v fe80 | sort
		nft list tables; nft list chains; ! nft list table ip others 2>&1
		cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/all/rp_filter
		tc qdisc; ! tc filter show dev mape0 egress 2>&1 | sed 's/ id [0-9]*//'
		cd $root; find . -type f | sort | xargs tail -n +1; find . | sort | xargs stat -c '%n %a'`)
}

// unchanged compares snapshots.
func unchanged(t testing.TB, before, after string) {
	t.Helper()
	if before != after {
		t.Errorf("the machine is not as it was:\n%s", diff.Diff("before", []byte(before), "after", []byte(after)))
	}
}

// TestDrift mends what happens to a gateway, thing by thing, and leaves the rest and what belongs to others alone.
func TestDrift(t *testing.T) {
	g := newGateway(t)
	g.run(t, "nft", "add table ip others; add chain ip others c { type filter hook input priority 0; }; add rule ip others c counter")
	want := g.standIn(t)
	g.converge(t, want)
	g.drifts(t, want, fileDrifts)
	g.drifts(t, want, liveDrifts)
	g.drifts(t, want, tableDrifts)
}

// TestRollback takes back everything on a real machine, when the last of all writes fails.
func TestRollback(t *testing.T) {
	g := newGateway(t)
	want := g.standIn(t)
	before := g.snapshot(t)
	b := newBench(map[string]string{})
	b.broken["last=1"] = fmt.Errorf("no space left")
	g.do(func() {
		_, err := Converge(t.Context(), g.h, append(want, b.want("last=1")...))
		if err == nil || err.Error() != "last: no space left\nevery change was rolled back" {
			t.Errorf("the error is %v", err)
		}
	})
	unchanged(t, before, g.snapshot(t))
}

// TestFullDisk leaves no file half-written and no temporary one behind.
func TestFullDisk(t *testing.T) {
	g := newGateway(t)
	dir := g.dir + "/etc/sysctl.d"
	for _, full := range []string{"nr_inodes=1", "size=4k"} {
		// What is mounted goes with the process that mounted it, but for the rest of the test it must stay.
		g.run(t, "mount", "-t", "tmpfs", "-o", full, "full", dir)
		t.Cleanup(func() { g.try("umount", dir) })
		if full == "size=4k" {
			g.run(t, "dd", "if=/dev/zero", "of="+dir+"/zero", "bs=4k", "count=1")
		}
		want := slices.DeleteFunc(g.compile(t, lineSection), func(r Resource) bool { _, ok := r.(File); return !ok })
		before := g.snapshot(t)
		g.do(func() {
			_, err := Converge(t.Context(), g.h, want)
			if err == nil || !strings.Contains(err.Error(), "no space left on device\nevery change was rolled back") {
				t.Errorf("%s: the error is %v", full, err)
			}
		})
		unchanged(t, before, g.snapshot(t))
		g.run(t, "umount", dir)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%q is left", left)
	}
}
