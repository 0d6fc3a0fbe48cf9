package main

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"mape-netplan/cmd/mape-netplan/internal/lab"
	"mape-netplan/reconcile/doctor"
)

const (
	ceAddress    = "2400:4050:5c71:af00:99:f171:c600:2f00"
	probeSection = "  probe: [\"203.0.113.10:7\", \"203.0.113.11:7\"]\n"
)

// doctor: the line and the machine are broken in every way that needs a real
// tunnel or a real line, and each time the doctor says which it is. Each fault
// is repaired before the next.
func (g *guest) doctor() {
	// The service would repair what is broken here.
	if _, exit := g.exits("systemctl is-active --quiet mape-netplan.service"); exit == 0 {
		g.sh("systemctl stop mape-netplan.service")
		defer g.sh("systemctl start mape-netplan.service")
	}
	g.quiet()
	section := g.sh("cat /etc/mape-netplan.yaml")
	g.sh("printf '" + strings.ReplaceAll(probeSection, `"`, `\"`) + "' >>/etc/mape-netplan.yaml")
	g.healthy()
	g.silentRelay()
	g.brokenMachine()
	g.noAdvertisement()
	g.otherPrefixes()
	g.duplicate()
	g.homeGateway()
	g.sh("cat >/etc/mape-netplan.yaml <<'END'\n" + section + "END")
	g.sh("mape-netplan apply && mape-netplan doctor")
	g.network.Relay.Reset()
	g.traffic()
}

// diagnosed says what the doctor has to say: words of the diagnosis in order.
func (g *guest) diagnosed(flags string, exit int, words string) doctor.Report {
	g.Helper()
	var r doctor.Report
	begin := time.Now()
	g.json("mape-netplan doctor --json "+flags, exit, &r)
	text := r.Diagnosis
	for _, w := range strings.Split(words, " … ") {
		_, after, ok := strings.Cut(text, w)
		if !ok {
			g.Errorf("doctor %s does not say %q: %s\n%+v", flags, words, r.Diagnosis, r.Findings)
			return r
		}
		text = after
	}
	g.Logf("%s: %s %s", time.Since(begin).Round(100*time.Millisecond), r.Diagnosis, r.Advice)
	return r
}

// works begins the diagnosis of a machine whose only warning is that no service
// keeps the gateway.
const works = "It works as far as can be seen, but: The "

// well says that everything works, and returns the report.
func (g *guest) well(flags string) doctor.Report {
	g.Helper()
	r := g.diagnosed(flags, 0, works)
	for i, f := range r.Findings {
		if last := i == len(r.Findings)-1; last != (f.State == doctor.Warn) || last && f.Check != "service" {
			g.Errorf("%s is %s: %s", f.Check, f.State, f.Seen)
		}
	}
	return r
}

// healthy: nothing is wrong, and the servers of the section answer.
func (g *guest) healthy() {
	g.Helper()
	g.well("")
	before := g.network.Relay.Report().Packets
	g.well("")
	if sent := g.network.Relay.Report().Packets - before; sent > 0 {
		g.Errorf("without --probe, %d packets were sent through the tunnel", sent)
	}
	r := g.well("--probe")
	if p := r.Symptoms.Probe; p == nil || len(p.Answers) != 6 || p.Largest != 1460 || r.Symptoms.Clock.Server.IsZero() {
		g.Errorf("probed: %+v, %+v", p, r.Symptoms.Clock)
	}
	out := g.sh("mape-netplan doctor")
	if !strings.Contains(out, "ok   tunnel: ") || !strings.Contains(out, "\n\nDiagnosis: "+works) || !strings.Contains(out, "\nAdvice: ") {
		g.Errorf("doctor prints\n%s", out)
	}
}

// asking sends something from the LAN all the while.
func (g *guest) asking(f func()) {
	g.Helper()
	ctx, cancel := context.WithCancel(g.ctx)
	var wait sync.WaitGroup
	wait.Go(func() { g.network.LAN.Output(ctx, "ping", "-q", "-i", "0.2", lab.Servers[0]) })
	f()
	cancel()
	wait.Wait()
}

// silentRelay: what leaves gets lost, all of it or what is long.
func (g *guest) silentRelay() {
	relay := g.network.Relay
	relay.SetFault(lab.Fault{Silent: true})
	g.asking(func() { g.diagnosed("", exitFailed, "border relay 2001:380:a120::9 is silent") })
	g.diagnosed("--probe", exitFailed, "border relay 2001:380:a120::9 is silent")
	relay.SetFault(lab.Fault{Longest: 1404})
	r := g.diagnosed("--probe", exitFailed, "bytes get lost … MTU black hole")
	if largest := r.Symptoms.Probe.Largest; largest < 1396 || largest > 1404 {
		g.Errorf("the longest packet is taken for one of %d bytes", largest)
	}
	relay.SetFault(lab.Fault{})
	g.judged()
	g.sh("ip link set mape0 type ip6tnl local " + ceAddress + " remote 2001:380:a120::9 encaplimit 4")
	g.asking(func() { g.diagnosed("", exitFailed, "destination options header (encaplimit 4) … none came back") })
	if relay.Report().DstOpt == 0 {
		g.Error("there was no such header")
	}
	g.sh("mape-netplan apply")
	relay.Reset()
	g.well("--probe")
}

// brokenMachine: the machine's routes and links were changed by hand.
func (g *guest) brokenMachine() {
	for _, b := range []struct{ breaks, repairs, words string }{
		{"ip route replace default via 192.168.1.10 dev eth0", "ip route del default via 192.168.1.10; ", "Another IPv4 default route wins … eth0"},
		{"ip route add 128.0.0.0/1 via 192.168.1.10", "ip route del 128.0.0.0/1; ", "takes precedence … leave by eth0 and not by mape0"},
		{"ip link del mape0", "", "tunnel mape0 is missing"},
	} {
		g.sh(b.breaks)
		g.diagnosed("", exitFailed, b.words)
		g.sh(b.repairs + "mape-netplan apply")
	}
}

// usualLine is what the line's router announces.
var usualLine = lab.Announce{Prefix: linePrefix, Autonomous: true}

func (g *guest) announce(a lab.Announce) {
	g.Helper()
	if err := g.network.Announce(a); err != nil {
		g.Fatal(err)
	}
}

// noAdvertisement: the line's router is there no more.
func (g *guest) noAdvertisement() {
	silent := usualLine
	silent.Silent = true
	g.announce(silent)
	g.until("! ip -6 route show default | grep .")
	g.diagnosed("", exitFailed, "No router advertisement has arrived on eth1")
	g.announce(usualLine)
	g.until("ip -6 route show default | grep eth1")
}

// otherPrefixes: the line has another one, which is in no rule, and then a
// later part of its own, where everything works and where nothing ever has.
func (g *guest) otherPrefixes() {
	const part = "2400:4050:5c71:af10::/64 is a part, not the first, of the line's 2400:4050:5c71:af00::/56"
	g.renumber("240b:14::/56", "240b:14:")
	g.diagnosed("", exitFailed, "in no rule … v6plus")
	g.renumber("2400:4050:5c71:af10::/60", "2400:4050:5c71:af10:")
	g.diagnosed("", 0, part)
	g.network.Relay.SetFault(lab.Fault{Silent: true})
	g.sh("ip link del mape0; mape-netplan apply")
	g.asking(func() { g.diagnosed("", exitFailed, part) })
	g.network.Relay.SetFault(lab.Fault{})
	g.sh("ping -c 1 -W 10 " + lab.Servers[1]) // Now something has come back.
	g.announce(usualLine)
	g.sh("networkctl reconfigure eth1")
	g.until("ip -6 address show dev eth1 | grep 2400:4050:5c71:af00::5/64 && ip -6 route show default | grep eth1")
	g.sh("mape-netplan apply")
	g.settled()
}

// renumber has the router announce another prefix, whose addresses begin so,
// and takes the others from the machine.
func (g *guest) renumber(prefix, begin string) {
	g.Helper()
	g.announce(lab.Announce{Prefix: netip.MustParsePrefix(prefix), Autonomous: true})
	g.until("ip -6 address show dev eth1 | grep " + begin)
	g.sh("for a in $(ip -6 -o address show dev eth1 scope global | awk '{print $4}' | grep -v -e /128 -e " + begin + "); do ip -6 address del $a dev eth1; done")
}

// duplicate: another router on the line has the CE address.
func (g *guest) duplicate() {
	other := func(do string) {
		g.Helper()
		args := []string{"-6", "address", do, ceAddress + "/128", "dev", "line"}
		if do == "add" {
			args = append(args, "nodad")
		}
		if _, err := g.network.WAN.Output(g.ctx, "ip", args...); err != nil {
			g.Fatal(err)
		}
	}
	other("add")
	g.sh("ip -6 address del " + ceAddress + "/128 dev eth1; ip -6 address add " + ceAddress + "/128 dev eth1 preferred_lft 0")
	g.until("ip -6 address show dev eth1 | grep dadfailed")
	g.diagnosed("", exitFailed, "Another router on the line already has the CE address "+ceAddress)
	other("del")
	g.sh("ip -6 address del " + ceAddress + "/128 dev eth1; mape-netplan apply")
	g.settled()
}

// homeGateway: a home gateway on the line, which its resolver knows, is the
// line's IPv4 router, and then is not any more.
func (g *guest) homeGateway() {
	with := usualLine
	with.Resolver = lab.ResolverAddress
	g.announce(with)
	g.until("grep DNS=.*" + lab.ResolverAddress.String() + " /run/systemd/netif/links/*")
	for _, says := range []struct {
		status string
		exit   int
		words  string
	}{
		{"ON", exitFailed, "home gateway (ntt.setup at 2001:db8:7f01::80) does IPv4 over IPv6"},
		{"OFF", 0, works}, // Last, because later steps want it off.
	} {
		if err := g.network.HomeGateway(says.status); err != nil {
			g.Fatal(err)
		}
		if r := g.diagnosed("", says.exit, says.words); r.Symptoms.Home.Status != says.status {
			g.Errorf("the home gateway is %s and says %+v", says.status, r.Symptoms.Home)
		}
	}
	g.announce(usualLine)
}

// until waits for a command in the machine to succeed.
func (g *guest) until(command string) {
	g.Helper()
	g.sh("for i in $(seq 60); do if " + command + " >/dev/null; then exit 0; fi; sleep 0.5; done; " + command + "; ip -6 address; ip -6 route; exit 1")
}
