package main

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mape-netplan/cmd/mape-netplan/internal/lab"
)

// The line after a renumbering: another shared address, PSID 48.
var (
	renumberedPrefix = netip.MustParsePrefix("2400:4050:5d71:b000::/56")
	renumbered       = lab.Judge{
		CE:    netip.MustParseAddr("2400:4050:5d71:b000:99:f175:c600:3000"),
		BR:    ocnLine.BR,
		IPv4:  netip.MustParsePrefix("153.241.117.198/32"),
		InSet: func(port uint16) bool { return port >= 1024 && port>>4&63 == 48 },
	}
)

// How soon a watch has to follow and to repair, as a host of the LAN sees it. Each
// limit is longer by two plans of the machine under test, timed before and after:
// an emulated processor on a busy host slows both alike. Where the host was busy
// for a moment only, the plans do not tell: what was late is tried once more.
const (
	followTime = 2 * time.Second
	repairTime = time.Second
	// How often everything is looked at meanwhile, or as much is written: to see
	// what is so, and to change it.
	passes = 2
	// faultTime is how long a host of the LAN looks on while something is broken
	// and repaired: the fault comes a second after its begin.
	faultTime = 5 * time.Second
	// grace is how long packets of the former line may be on their way: until the
	// gateway follows.
	grace = 20 * time.Second
)

// watch: as a service the program follows the line to another prefix under
// load, repairs what is broken, and leaves a working gateway when it is stopped.
func (g *guest) watch() {
	g.sh("echo 'mape: {}' >/root/watched; systemd-run -q --unit=watched -p Type=notify -p WatchdogSec=60 mape-netplan watch -c /root/watched")
	defer func() {
		if g.Failed() {
			out, _ := g.exits("journalctl -o short-precise -u watched; ip -6 address; ip -d link show mape0")
			g.Log(out)
		}
	}()
	g.twice("a renumbering", func() bool {
		there := g.follow(renumbered, renumberedPrefix)
		g.carrier(ocnLine.CE, renumbered.CE)
		back := g.follow(ocnLine, linePrefix)
		return there && back
	})
	g.repairs(
		// From an address that the machine does not have nothing leaves.
		"ip link del mape0", "ip link set mape0 down", "ip link set mape0 type ip6tnl local 2400:4050:5c71:af00::77 remote 2001:380:a120::9",
		"ip route del default dev mape0", "sysctl -q net.ipv4.ip_forward=0", "ip -6 address del "+ocnLine.CE.String()+"/128 dev eth1",
		"rm /etc/netplan/99-ipoe-gw.yaml",
		"tc qdisc del dev mape0 clsact",
		"nft delete table ip mape", "nft flush table ip mape", "nft flush ruleset", "systemctl restart nftables",
	)
	g.judged()
	g.sh("systemctl stop watched")
	if took, ok := g.reaches(lab.Servers[0], 30*time.Second); !ok {
		g.Errorf("stopped, the gateway does not work for %v", took)
	}
	g.sh("mape-netplan status -c /root/watched")
	g.judged()
}

// pass is about how long the machine takes to look at everything once: a plan,
// by its own clock. On the host that is some ten milliseconds, in the emulator
// fifty times as long and more, as busy as the host is. A limit is longer by
// what was measured just before or after, as often as the watch works so much.
func (g *guest) pass() time.Duration {
	g.Helper()
	ns, err := strconv.Atoi(strings.TrimSpace(g.sh("a=$(date +%s%N); mape-netplan plan -c /root/watched >/dev/null; b=$(date +%s%N); echo $((b-a))")))
	if err != nil {
		g.Fatal(err)
	}
	return time.Duration(ns)
}

// limited reports whether something took no longer than it may, with the time of
// a plan before it and after it.
func (g *guest) limited(what string, took, limit, before, after time.Duration) bool {
	g.Helper()
	pass := max(before, after)
	most := limit + passes*pass
	g.Logf("%s: no connection for %v; at most it may be %v, of which %v are two plans in this machine",
		what, took.Round(time.Millisecond), most.Round(time.Millisecond), (most - limit).Round(time.Millisecond))
	return took <= most
}

// follow renumbers the line under load, and reports whether connections of the
// new line work in time. No packet is wrong.
func (g *guest) follow(to lab.Judge, prefix netip.Prefix) (inTime bool) {
	g.Helper()
	ctx, cancel := context.WithCancel(g.ctx)
	defer cancel()
	var sent atomic.Int64
	var load sync.WaitGroup
	for _, server := range lab.Servers[1:4] {
		load.Go(func() {
			for ctx.Err() == nil {
				sent.Add(int64(g.burst(ctx, server)))
			}
		})
	}
	before := g.pass() // under load
	if err := g.network.Relay.Renumber(to, grace); err != nil {
		g.Fatal(err)
	}
	if err := g.network.Announce(lab.Announce{Prefix: prefix, Autonomous: true}); err != nil {
		g.Fatal(err)
	}
	took, ok := g.reaches(lab.Servers[0], 30*time.Second)
	if !ok {
		g.Errorf("%s: no connection at all", prefix)
	}
	inTime = g.limited(prefix.String(), took, followTime, before, g.pass())
	time.Sleep(3 * time.Second)
	cancel()
	load.Wait()
	g.settled("-c /root/watched")
	out := g.sh("mape-netplan status -c /root/watched; ip -d link show mape0; ip -6 address show dev eth1 scope global")
	for _, want := range []string{"CE               " + to.CE.String() + "\n", " local " + to.CE.String() + " ", "inet6 " + to.CE.String() + "/128 scope global deprecated"} {
		if !strings.Contains(out, want) {
			g.Errorf("%q is not in\n%s", want, out)
		}
	}
	if sent.Load() == 0 {
		g.Error("there was no load")
	}
	g.Logf("%d datagrams came back", sent.Load())
	g.judged()
	return inTime
}

// carrier takes the line away for a moment. networkd, which was not told of the
// renumbering, brings the former CE address back, and the watch removes it.
func (g *guest) carrier(former, now netip.Addr) {
	g.Helper()
	g.sh("ip link set eth1 down; sleep 1; ip link set eth1 up; /lib/systemd/systemd-networkd-wait-online --timeout=30 -i eth1:routable")
	if took, ok := g.reaches(lab.Servers[0], 30*time.Second); !ok {
		g.Errorf("with its carrier back the line is not there for %v", took)
	}
	time.Sleep(3 * time.Second)
	g.settled("-c /root/watched")
	if out := g.sh("mape-netplan status -c /root/watched; ip -6 address show dev eth1"); strings.Contains(out, former.String()) || !strings.Contains(out, now.String()+"/128 scope global deprecated") {
		g.Errorf("with its carrier back there is\n%s", out)
	}
	g.judged()
}

// burst sends to an echo from a new socket until nothing comes back, as when the
// line changes, or a hundred times, and returns how often something did.
func (g *guest) burst(ctx context.Context, server string) (back int) {
	conn, err := g.network.LAN.Dial(ctx, "udp4", server+":7")
	if err != nil {
		return 0
	}
	defer conn.Close()
	buf := make([]byte, 1000)
	for ; back < 100 && ctx.Err() == nil; back++ {
		conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err := conn.Write(buf); err != nil {
			return back
		}
		if _, err := conn.Read(buf); err != nil {
			return back
		}
	}
	return back
}

// repairs: a fault of the gateway is repaired in time, for a host of the LAN.
func (g *guest) repairs(faults ...string) {
	g.Helper()
	before := g.pass()
	for _, fault := range faults {
		g.twice(fault, func() bool {
			// Later, for the end of an SSH session is work for the machine as well.
			g.sh("nohup sh -c 'sleep 1; " + fault + "' >/dev/null 2>&1 &")
			took := g.outage(faultTime)
			after := g.pass()
			inTime := g.limited(fault, took, repairTime, before, after)
			before = after
			g.settled("-c /root/watched")
			return inTime
		})
	}
}

// twice does what has a limit, and where that was late once more.
func (g *guest) twice(what string, inTime func() bool) {
	g.Helper()
	for range 2 {
		if inTime() {
			return
		}
	}
	g.Errorf("%s: twice no connection for longer than may be", what)
}

// outage is the longest time without a new connection through the gateway, of
// those that end while it is looked at, or the last one. Each connection keeps a
// port of the line for two minutes, so there are not more than ten a second, to
// one server after another.
func (g *guest) outage(look time.Duration) (longest time.Duration) {
	last := time.Now()
	for i, end := 0, last.Add(look); last.Before(end); i++ {
		time.Sleep(100 * time.Millisecond)
		_, ok := g.reaches(lab.Servers[i%len(lab.Servers)], time.Until(end))
		longest = max(longest, time.Since(last))
		if !ok {
			break
		}
		last = time.Now()
	}
	return longest
}

// reaches tries new connections through the gateway until one works, and returns
// how long that took.
func (g *guest) reaches(server string, most time.Duration) (took time.Duration, ok bool) {
	begin := time.Now()
	for time.Since(begin) < most {
		ctx, cancel := context.WithTimeout(g.ctx, 250*time.Millisecond)
		conn, err := g.network.LAN.Dial(ctx, "tcp4", server+":7")
		cancel()
		if err == nil {
			conn.SetDeadline(time.Now().Add(time.Second))
			_, err = conn.Write([]byte("x"))
			if err == nil {
				_, err = conn.Read(make([]byte, 1))
			}
			conn.Close()
		}
		if err == nil {
			return time.Since(begin), true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(begin), false
}
