package main

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"mape-netplan/cmd/mape-netplan/internal/lab"
)

var units = []string{"mape-netplan-guard.service", "mape-netplan.service"}

// late: the machine was booted and installed on a line that was dead. Nothing
// waited for it, nothing failed, and the gateway works as soon as it is there.
func (g *guest) late() {
	g.booted()
	if out := g.sh("ip -6 route show default"); out != "" {
		g.Fatalf("the line was not dead: %s", out)
	}
	if err := g.network.Announce(lab.Announce{Prefix: linePrefix, Autonomous: true}); err != nil {
		g.Fatal(err)
	}
	g.reached()
	g.judged()
}

// booted: the boot has finished without a failure, in our units or any other.
func (g *guest) booted() {
	g.Helper()
	if out, exit := g.exits("systemctl is-system-running --wait; systemctl --failed --plain --no-legend"); exit != 0 || out != "running\n" {
		g.Errorf("the boot did not end well: %s\n%s", out, g.sh("systemctl list-jobs; journalctl -b -p warning --no-pager"))
	}
	for _, unit := range units {
		if out := g.sh("systemctl is-active " + unit + "; systemctl is-enabled " + unit); out != "active\nenabled\n" {
			g.Errorf("%s is %s", unit, out)
		}
	}
}

// most is the exposure that "systemd-analyze security" may give a unit, on its
// scale from 0 to 10. It adds up a unit's settings: a busy machine changes
// nothing of it. Both units are at 2.1 or less.
const most = 3.0

var exposure = regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`)

// service: what runcmd installed is sound, is there once, and keeps the table.
func (g *guest) service() {
	if out := g.sh("mape-netplan install"); out != "unchanged\n" {
		g.Errorf("install once more: %s", out)
	}
	if out := g.sh("systemd-analyze verify " + strings.Join(units, " ") + " 2>&1"); out != "" {
		g.Errorf("systemd-analyze verify: %s", out)
	}
	for _, unit := range units {
		found := exposure.FindStringSubmatch(g.sh("systemd-analyze security --no-pager " + unit))
		if found == nil {
			g.Fatalf("systemd-analyze security says nothing of %s", unit)
		}
		g.Logf("systemd-analyze security of %s: %s", unit, found[1])
		if level, err := strconv.ParseFloat(found[1], 64); err != nil || level > most {
			g.Errorf("the exposure of %s is %s: %v", unit, found[1], err)
		}
	}
	if out, exit := g.exits("mape-netplan remove"); exit != 1 || !strings.Contains(out, "mape-netplan uninstall") {
		g.Errorf("remove with the service: exit %d, %s", exit, out)
	}
	g.flushed()
	g.sandboxed()
	g.repaired()
	g.sh("mape-netplan status")
	g.judged()
}

// flushed: nftables.service takes every table, and ours is back within a second.
// On an emulated processor that others use too, a second can be too short for a
// process to do anything: then it is as long as five of status, which takes a
// twentieth of a second on a real one. BenchmarkEvent measures it there.
func (g *guest) flushed() {
	const script = `now() { date +%s%N; }
a=$(now); mape-netplan status >/dev/null; b=$(now)
systemctl restart nftables
c=$(now); until nft -t list table ip mape >/dev/null 2>&1; do [ $(now) -lt $((c + 60000000000)) ] || exit 1; sleep 0.1; done; d=$(now)
echo $((b - a)) $((d - c))`
	var pass, took time.Duration
	if out := g.sh(script); !scan(out, &pass, &took) {
		g.Fatalf("no times in %q", out)
	}
	g.Logf("the table was back %s after the restart of nftables.service; status takes %s", took.Round(time.Millisecond), pass.Round(time.Millisecond))
	if took > max(time.Second, 5*pass) {
		g.Errorf("the table was away for %s", took)
	}
}

// flushes: the table goes ten times under traffic, and not one packet leaves as
// it should not. A command brings it back where no service does.
func (g *guest) flushes(back string) {
	ctx, cancel := context.WithCancel(g.ctx)
	defer cancel()
	var traffic sync.WaitGroup
	for _, script := range []string{
		"ping -n -i 0.02 " + lab.Servers[4],
		"while sleep 0.01; do echo hello >/dev/udp/" + lab.Servers[5] + "/7; done",
		"while sleep 0.05; do timeout 0.2 bash -c 'echo hello >/dev/tcp/" + lab.Servers[3] + "/7'; done",
	} {
		traffic.Go(func() { g.network.LAN.Output(ctx, "bash", "-c", script) })
	}
	before := g.network.Relay.Report().Packets
	g.sh(`for i in $(seq 10); do
nft flush ruleset
sleep 0.3
` + back + `
until nft -t list table ip mape >/dev/null 2>&1; do sleep 0.1; done
sleep 0.3
done`)
	cancel()
	traffic.Wait()
	g.reached()
	r := g.network.Relay.Report()
	g.Logf("%d packets left, %d of them wrong", r.Packets-before, r.Wrong)
	if r.Packets < before+100 {
		g.Errorf("only %d packets left", r.Packets-before)
	}
	g.judged()
	g.quiet()
}

// quiet forgets the connections of a step that left hundreds behind: the next
// steps count those of their own.
func (g *guest) quiet() {
	g.Helper()
	g.sh("conntrack -F")
}

// sandboxed: in its sandbox the service has netplan's generator make files that
// networkd may read. Since netplan 1.1 they are for its group alone.
func (g *guest) sandboxed() {
	const owners = "stat -c '%n %U %G %a' /run/systemd/network/10-netplan-mape0.*"
	before := g.sh(owners)
	g.sh("rm /etc/netplan/99-ipoe-gw.yaml /run/systemd/network/10-netplan-mape0.* && ip link del mape0")
	g.settled()
	if after := g.sh(owners); after != before {
		g.Errorf("the files were\n%sand are\n%s", before, after)
	}
	g.reached()
}

func scan(text string, durations ...*time.Duration) bool {
	fields := strings.Fields(text)
	for i, d := range durations {
		if len(fields) != len(durations) {
			return false
		}
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return false
		}
		*d = time.Duration(n)
	}
	return true
}

// repaired: install restores a service that was changed, and restarts it with a
// program that replaced the one it runs.
func (g *guest) repaired() {
	g.sh(`set -e
systemctl disable --quiet mape-netplan.service
install -m 755 /usr/local/bin/mape-netplan /usr/local/bin/new
mv /usr/local/bin/new /usr/local/bin/mape-netplan
echo '# mine' >>/etc/systemd/system/mape-netplan-guard.service`)
	want := "changed file /etc/systemd/system/mape-netplan-guard.service\n" +
		"created link /etc/systemd/system/multi-user.target.wants/mape-netplan.service\n" +
		"changed unit mape-netplan-guard.service\n" +
		"changed unit mape-netplan.service\n"
	if out := g.sh("mape-netplan install --timeout 10m"); out != want {
		g.Errorf("install restored\n%s", out)
	}
	if out := g.sh("mape-netplan install"); out != "unchanged\n" {
		g.Errorf("and then\n%s", out)
	}
}

// modules: the guard's unit has the kernel load all that the table and the
// filter need, and the table then makes it load no more.
func (g *guest) modules() {
	out := g.sh(`ip link del mape0; nft flush ruleset
loaded() { lsmod | awk '/^(nf|sch_ingress|cls_bpf)/ { print $1 }' | sort; }
for i in 1 2 3 4 5; do for m in $(loaded); do rmmod $m 2>/dev/null; done; done
loaded | grep -xE 'nf_tables|sch_ingress|cls_bpf'
set -e
sh /root/preload || true # There are kernels that have some of it built in.
for m in sch_ingress cls_bpf; do loaded | grep -qx $m || echo $m is not loaded; done
before=$(loaded)
mape-netplan guard >/dev/null
loaded | grep -vxF "$before" || true
systemctl restart nftables
mape-netplan apply >/dev/null 2>&1`)
	if out != "" {
		g.Errorf("left before, and loaded by the table:\n%s", out)
	}
}

// uninstalled: the units are removed, the gateway is not.
func (g *guest) uninstalled() {
	if out := g.sh("mape-netplan uninstall --timeout 10m"); strings.Count(out, "removed ") != 6 || !strings.Contains(out, `"mape-netplan remove" removes it`) {
		g.Errorf("uninstall: %s", out)
	}
	if out := g.sh("mape-netplan uninstall"); out != "unchanged\n" {
		g.Errorf("the second uninstall: %s", out)
	}
	if out := g.sh("find /etc/systemd/system -name '*mape*'; systemctl list-units --all --plain --no-legend 'mape*'"); out != "" {
		g.Errorf("left behind:\n%s", out)
	}
	g.sh("mape-netplan status")
}

// reboot: the machine goes down and comes back as a gateway while the LAN host
// sends all the time, and not one packet leaves as it should not.
func (g *guest) reboot() {
	g.sh("mape-netplan install --timeout 10m")
	ctx, cancel := context.WithCancel(g.ctx)
	defer cancel()
	ended := make(chan error, 2)
	for _, args := range [][]string{
		{"ping", "-n", "-i", "0.05", lab.Servers[4]},
		{"bash", "-c", "while sleep 0.05; do echo hello >/dev/udp/" + lab.Servers[5] + "/7; done"},
	} {
		go func() {
			_, err := g.network.LAN.Output(ctx, args[0], args[1:]...)
			ended <- err
		}()
	}
	before := g.network.Relay.Report().Packets
	if err := g.vm.Reboot(g.ctx); err != nil {
		g.Fatal(err)
	}
	g.cloudInit()
	g.reached()
	g.booted()
	select {
	case err := <-ended:
		g.Errorf("the LAN host stopped sending: %v", err)
	default:
	}
	g.Logf("%d packets judged through the reboot", g.network.Relay.Report().Packets-before)
	// Other units are around these two with every version of systemd, netplan and cloud-init.
	var guarded, networkd time.Duration
	if out := g.sh("systemctl show -P ActiveEnterTimestampMonotonic mape-netplan-guard; systemctl show -P InactiveExitTimestampMonotonic systemd-networkd"); !scan(out, &guarded, &networkd) || guarded == 0 || guarded > networkd {
		g.Errorf("the guard was there at, and networkd began at\n%s", out)
	}
	g.judged()
	g.sh("mape-netplan status")
	g.traffic()
	if out := g.sh("journalctl -b -1 -u mape-netplan-guard -o cat --no-pager"); !strings.Contains(out, "set down tunnel mape0") {
		g.Errorf("the guard did not set the tunnel down at the end:\n%s", out)
	}
	g.sh("sed -n 's/^ExecStartPre=-+//p' /etc/systemd/system/mape-netplan-guard.service >/root/preload") // for modules
	g.Logf("the units' part of the boot:\n%s", g.sh("systemd-analyze blame --no-pager | grep mape-netplan"))
}
