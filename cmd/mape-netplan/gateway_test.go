package main

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"mape-netplan/cmd/mape-netplan/internal/lab"
)

// TestGateway makes a Debian machine that cloud-init configures the way
// Proxmox does it a gateway, and sends packets through it to a border relay
// that judges each.
func TestGateway(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines, which takes minutes")
	}
	lab.Require(t)
	t.Parallel()
	files := build(t)
	old, why := buildEarlier(t)
	if old != "" {
		files["mape-netplan.earlier"] = old
	}
	for _, release := range releases {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			g := boot(t, release, files)
			// by has one machine alone do what takes a minute and hardly depends on the release.
			by := func(machine, name string, f func(*guest)) {
				if machine == release || full() {
					g.step(name, f)
				}
			}
			g.step("late line", (*guest).late)
			g.step("apply", (*guest).applied)
			g.step("service", (*guest).service)
			g.step("flushes", func(g *guest) { g.flushes("") })
			by("trixie", "upgrade", func(g *guest) {
				if old == "" {
					g.Skip(why)
				}
				g.upgraded()
			})
			// What follows is done by hand.
			g.step("uninstall", (*guest).uninstalled)
			by("trixie", "flushes by hand", func(g *guest) { g.flushes("mape-netplan apply >/dev/null 2>&1") })
			g.step("traffic", (*guest).traffic)
			g.step("again", (*guest).again)
			g.step("icmp", (*guest).icmp)
			g.step("mapping", (*guest).mapping)
			g.step("exhaustion", (*guest).exhaustion)
			g.step("times", (*guest).times)
			g.step("storm", (*guest).storm)
			g.step("forwards", (*guest).forwards)
			g.step("inbound", (*guest).inbound)
			g.step("load", (*guest).load)
			g.step("closed", (*guest).closed)
			g.step("unsolicited", (*guest).unsolicited)
			g.step("drift", (*guest).drift)
			g.step("watch", (*guest).watch)
			g.step("doctor", (*guest).doctor)
			g.step("netplan apply", (*guest).netplanApply)
			g.step("reboot", (*guest).reboot)
			g.step("uninstall again", (*guest).uninstalled)
			g.step("judge", (*guest).judge)
			g.step("modules", (*guest).modules)
			g.step("remove", (*guest).remove)
			g.step("delegation", (*guest).delegation)
			by("bookworm", "modes", (*guest).modes) // as yet tried on no other
			g.step("networkd", (*guest).networkd)
			g.step("resources", func(g *guest) { g.resources(release) })
		})
	}
}

// applied: cloud-init's runcmd made the gateway, and netplan takes our file.
func (g *guest) applied() {
	if log := g.sh("cat /var/log/cloud-init-output.log"); !strings.Contains(log, "\ncreated tunnel mape0\n") || !strings.Contains(log, "\ncreated unit mape-netplan.service\n") {
		g.Errorf("the first install does not say what it made:\n%s", log)
	}
	if out := g.sh("netplan generate"); strings.Contains(out, "ipoe-gw") || strings.Contains(out, "mape0") {
		g.Errorf("netplan complains: %s", out)
	}
	out := g.sh("stat -c %a /etc/netplan/99-ipoe-gw.yaml; ip -d link show mape0; ip -6 address show dev eth1; ip route show default")
	for _, want := range []string{
		"600\n", "mtu 1460", "encaplimit none", "hoplimit 64", "ip6tnl ipip6 remote 2001:380:a120::9 local 2400:4050:5c71:af00:99:f171:c600:2f00",
		"inet6 2400:4050:5c71:af00:99:f171:c600:2f00/128 scope global deprecated", "default dev mape0 proto static scope link",
	} {
		if !strings.Contains(out, want) {
			g.Errorf("%q is not in\n%s", want, out)
		}
	}
	g.sh("mape-netplan status")
}

// again: a second apply changes nothing, not even the number of a link, the
// handle of a rule or the time of a file.
func (g *guest) again() {
	// Without what the counted sets hold at the moment, which newer nft counts.
	const state = "ip -d link show mape0; tc filter show dev mape0 egress; nft -t -a list table ip mape | sed 's/# count .*//'; nft list map ip mape real; nft list map ip mape pool; ls -li --full-time /etc/netplan /etc/sysctl.d /etc/systemd/network/* 2>/dev/null; true"
	before := g.sh(state)
	if out := g.sh("mape-netplan apply"); out != "unchanged\n" {
		g.Errorf("the second apply: %s", out)
	}
	if names := g.names("apply", 0); len(names) > 0 {
		g.Errorf("the third apply changed %s", names)
	}
	if names := g.names("plan", 0); len(names) > 0 {
		g.Errorf("plan names %s", names)
	}
	if after := g.sh(state); after != before {
		g.Errorf("it changed\n%s", diff.Diff("before", []byte(before), "after", []byte(after)))
	}
}

// unsolicited: a packet of no connection gets no answer and does not come back.
func (g *guest) unsolicited() {
	for _, port := range []uint16{1776, 1777, 65279, 1792, 2000, 22, 80, 40000} {
		from, to := netip.AddrPortFrom(lab.Stranger, 9), netip.AddrPortFrom(shared, port)
		for _, packet := range [][]byte{lab.UDP(from, to, []byte("hello")), lab.SYN(from, to), lab.Echo(lab.Stranger, shared, port)} {
			if err := g.network.Relay.Inject(packet); err != nil {
				g.Error(err)
			}
		}
	}
	g.sh("ping -c 1 -W 10 " + lab.Servers[1]) // What was sent before this has been dealt with.
	g.judged()
}

// full reports whether every machine does what hardly depends on it.
func full() bool { return os.Getenv("MAPE_CI_FULL") == "1" }

// resources: the laws of the resources that need a real tunnel or systemd, in
// here. Each drift and a rollback for each failure take minutes: by default only
// the oldest machine has the ones, and the newest the others.
func (g *guest) resources(release string) {
	var skip []string
	if release != releases[0] && !full() {
		skip = append(skip, "TunnelDrift")
	}
	if release != releases[len(releases)-1] && !full() {
		skip = append(skip, "RollbackOfTheLink")
	}
	out, exit := g.exits("cd /root && MAPE_CI=1 MAPE_VM=1 ./reconcile.test -test.v -test.run '^Test(Tunnel|Unit|EgressBarred)' -test.skip '" + strings.Join(skip, "|") + "' 2>&1")
	if exit != 0 || !strings.Contains(out, "--- PASS: TestTunnel") || !strings.Contains(out, "--- PASS: TestUnit") || strings.Contains(out, "--- SKIP") {
		g.Errorf("exit %d\n%s", exit, out)
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "--- PASS") {
			g.Log(strings.TrimSpace(line))
		}
	}
}

// drift: plan names exactly what was changed by hand, and apply restores exactly it.
func (g *guest) drift() {
	const ce = "address 2400:4050:5c71:af00:99:f171:c600:2f00 dev eth1"
	for _, d := range []struct {
		change string
		names  []string
	}{
		{"ip link set mape0 type ip6tnl local 2400:4050:5c71:af00::5 remote 2001:380:a120::9", []string{"tunnel mape0"}},
		{"ip link set mape0 mtu 1280", []string{"tunnel mape0"}},
		{"ip route del default dev mape0", []string{"route default dev mape0"}},
		{"ip link del mape0", []string{"filter mape0 egress", "route default dev mape0", "sysctl net/ipv4/conf/mape0/rp_filter", "tunnel mape0"}},
		{"tc filter del dev mape0 egress", []string{"filter mape0 egress"}},
		{"tc qdisc del dev mape0 clsact", []string{"filter mape0 egress"}},
		{"ip -6 address del 2400:4050:5c71:af00:99:f171:c600:2f00/128 dev eth1", []string{ce}},
		{"ip -6 address change 2400:4050:5c71:af00:99:f171:c600:2f00/128 dev eth1 preferred_lft forever", []string{ce}},
		{"echo '# mine' >>/etc/netplan/99-ipoe-gw.yaml", []string{"file /etc/netplan/99-ipoe-gw.yaml"}},
		{"chmod 644 /etc/netplan/99-ipoe-gw.yaml", []string{"file /etc/netplan/99-ipoe-gw.yaml"}},
		{"sed -i s/none/4/ /etc/systemd/network/10-netplan-mape0.netdev.d/50-mape.conf", []string{"file /etc/systemd/network/10-netplan-mape0.netdev.d/50-mape.conf"}},
		{"sed -i 's/= 1/= 0/' /etc/sysctl.d/99-mape-gw.conf", []string{"file /etc/sysctl.d/99-mape-gw.conf"}},
		{"nft flush table ip mape", []string{"table ip mape"}},
		{"nft delete table ip mape", []string{"table ip mape"}},
		{"nft add rule ip mape input accept", []string{"table ip mape"}},
		{"sysctl -q net.ipv4.ip_forward=0", []string{"sysctl net/ipv4/ip_forward"}},
		{"sysctl -q net.ipv4.conf.mape0.rp_filter=1", []string{"sysctl net/ipv4/conf/mape0/rp_filter"}},
	} {
		g.sh(d.change)
		if names := g.names("plan", exitDiffers); !slices.Equal(names, d.names) {
			g.Errorf("%s: plan names %q", d.change, names)
		}
		if names := g.names("apply", 0); !slices.Equal(names, d.names) {
			g.Errorf("%s: apply restored %q", d.change, names)
		}
	}
	if names := g.names("plan", 0); len(names) > 0 {
		g.Errorf("left over: %q", names)
	}
	g.traffic()
}

// netplanApply: netplan may be applied after us and finds nothing to undo.
func (g *guest) netplanApply() {
	g.sh("netplan apply")
	g.settled()
	g.reached()
	g.traffic()
}

// reached waits until the LAN host gets through again: networkd may take the
// links down once more after everything was as it should be.
func (g *guest) reached() {
	g.Helper()
	for end, enough := time.Now().Add(2*time.Minute), 0; enough < 3; {
		if _, err := g.network.LAN.Output(g.ctx, "ping", "-c", "1", "-W", "1", lab.Servers[0]); err == nil {
			enough++
		} else if enough = 0; time.Now().After(end) {
			g.Fatal("the LAN host does not get through")
		}
		time.Sleep(time.Second)
	}
}

// settled waits until status finds everything in sync: networkd acts after it has answered.
func (g *guest) settled(flags ...string) {
	g.Helper()
	command := strings.Join(append([]string{"mape-netplan status"}, flags...), " ")
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
		out, exit := g.exits(command)
		if exit == 0 {
			return
		}
		if time.Now().After(end) {
			g.Fatalf("%s: exit %d\n%s", command, exit, out)
		}
	}
}

// judge: the judge notices what the encapsulation limit does to a packet.
func (g *guest) judge() {
	g.sh("ip link set mape0 type ip6tnl local 2400:4050:5c71:af00:99:f171:c600:2f00 remote 2001:380:a120::9 encaplimit 4")
	g.network.LAN.Output(g.ctx, "ping", "-c", "2", "-W", "1", lab.Servers[2])
	if r := g.network.Relay.Report(); r.DstOpt == 0 {
		g.Errorf("a destination options header was not noticed: %+v", r)
	}
	if names := g.names("apply", 0); !slices.Equal(names, []string{"tunnel mape0"}) {
		g.Errorf("apply restored %q", names)
	}
	g.network.Relay.Reset()
	g.traffic()
}

// remove: the machine is as it was.
func (g *guest) remove() {
	if names := g.names("remove", 0); len(names) < 7 {
		g.Errorf("remove names only %q", names)
	}
	if out := g.sh("mape-netplan remove"); out != "unchanged\n" {
		g.Errorf("the second remove: %s", out)
	}
	if out, exit := g.exits("/root/look | diff -u /root/before -"); exit != 0 {
		g.Errorf("not as before:\n%s", out)
	}
	if out := g.sh("ip -6 address show dev eth1"); strings.Contains(out, "/128") {
		g.Errorf("the CE address is still there:\n%s", out)
	}
	// The kernel has no route out any more, and says so.
	g.network.LAN.Output(g.ctx, "ping", "-c", "2", "-W", "1", lab.Servers[3])
	g.judged()
}

// warned is what a run says without the warning that no service keeps the
// gateway.
func warned(out string) string {
	return strings.Replace(out, "warning: no service keeps the gateway: ", "", 1)
}

// networkd: the same without netplan on the machine, and with the smallest
// section: the interfaces are found.
func (g *guest) networkd() {
	g.sh(`set -e
for f in /run/systemd/network/*; do install -m 644 $f /etc/systemd/network/20-${f##*10-netplan-}; done
rm -r /etc/netplan /run/systemd/network/* /lib/netplan
for f in /usr/sbin/netplan /usr/libexec/netplan; do [ ! -e $f ] || mv $f $f.gone; done
echo 'mape: {}' >/etc/mape-netplan.yaml
systemctl restart systemd-networkd
until ip -4 route | grep -q '^192.168.1.0/24' && ip -6 route show default | grep -q eth1; do sleep 0.2; done
/root/look >/root/before 2>/dev/null`)
	if out := g.sh("mape-netplan apply"); !strings.Contains(out, "50-mape.conf") || strings.Contains(warned(out), "warning") {
		g.Errorf("apply without netplan says %s", out)
	}
	g.again()
	g.traffic()
	g.sh("systemctl restart systemd-networkd")
	g.settled()
	g.reached()
	g.traffic()
	g.sh("mape-netplan remove")
	if out, exit := g.exits("/root/look 2>/dev/null | diff -u /root/before -"); exit != 0 {
		g.Errorf("not as before:\n%s", out)
	}
}
