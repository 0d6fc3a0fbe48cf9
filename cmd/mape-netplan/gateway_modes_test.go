package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"mape-netplan/cmd/mape-netplan/internal/lab"
)

// A modeLine is a section and the far end that it is for.
type modeLine struct {
	section string // behind plainSection
	far     lab.Judge
	inbound netip.AddrPort // forwarded to port 8023 of the LAN host, where ports can be
}

// The line of the test, in the other modes.
var (
	lw4o6Line = modeLine{`  lw4o6: {lwaftr: "2001:db8:ffff::2", ipv4: 192.0.2.18, psid: 52, psid-len: 8, prefix: "2400:4050:5c71:af00::/56"}
  forwards: [{port: 13312, to: "192.168.1.10:8023"}]
`, lab.Judge{
		Mode: lab.LW4o6, CE: netip.MustParseAddr("2400:4050:5c71:af00:0:c000:212:34"), BR: netip.MustParseAddr("2001:db8:ffff::2"),
		IPv4: netip.MustParsePrefix("192.0.2.18/32"), InSet: func(port uint16) bool { return port>>8 == 52 }, Refuses: true,
	}, netip.MustParseAddrPort("192.0.2.18:13312")}
	ipipLine = modeLine{`  ipip:
    ipv4: 192.0.2.24/29
    br: "2404:9200:225:100::65"
    interface-id: "::feed"
    registration: {provider: v6plus, user: user01, password: "p&ss w%rd"}
  forwards: [{port: 22, to: "192.168.1.10:8023"}]
`, lab.Judge{
		Mode: lab.IPIP, CE: netip.MustParseAddr("2400:4050:5c71:af00::feed"), BR: netip.MustParseAddr("2404:9200:225:100::65"),
		IPv4: netip.MustParsePrefix("192.0.2.24/32"),
	}, netip.MustParseAddrPort("192.0.2.24:22")}
)

// modes: by a change of its section the gateway goes from one mode to the next while the LAN host sends all the time, and
// no packet leaves that the far end of the old or of the new mode finds wrong.
func (g *guest) modes() {
	if err := g.network.Say(8023); err != nil {
		g.Fatal(err)
	}
	g.network.Resolver.Know("fcs.enabler.ne.jp", lab.RegistrarAddress)
	with := usualLine
	with.Resolver = lab.ResolverAddress
	g.announce(with)
	g.until("ip -6 route show default | grep eth1 && grep DNS=.*" + lab.ResolverAddress.String() + " /run/systemd/netif/links/*")
	g.sh("mape-netplan apply")
	g.reached()

	ctx, cancel := context.WithCancel(g.ctx)
	var traffic sync.WaitGroup
	stop := func() {
		cancel()
		traffic.Wait()
	}
	defer stop()
	for _, script := range []string{
		"while sleep 0.05; do ping -n -c 1 -W 1 " + lab.Servers[4] + "; done",
		"while sleep 0.05; do echo hello >/dev/udp/" + lab.Servers[5] + "/7; done",
	} {
		traffic.Go(func() { g.network.LAN.Output(ctx, "bash", "-c", script) })
	}
	for _, line := range []modeLine{lw4o6Line, ipipLine} {
		g.step(line.far.Mode.String(), func(g *guest) {
			g.becomes(line)
			if line.far.Mode == lab.IPIP {
				g.registered()
			}
		})
	}
	stop()
	g.sh("mape-netplan remove")
	g.announce(usualLine)
	g.sh("networkctl reconfigure eth1")
	g.until("ip -6 address show dev eth1 | grep 2400:4050:5c71:af00::5/64 && ip -6 route show default | grep eth1")
	if out, exit := g.exits("/root/look | diff -u /root/before -"); exit != 0 {
		g.Errorf("not as before:\n%s", out)
	}
	g.sh("printf '" + strings.ReplaceAll(plainSection, "\n", `\n`) + "' >/etc/mape-netplan.yaml")
	if err := g.network.Relay.SetJudge(ocnLine); err != nil {
		g.Fatal(err)
	}
}

// becomes changes the section and the far end, and everything works: all that people do, long packets both ways, what is
// forwarded and nothing else.
func (g *guest) becomes(line modeLine) {
	g.Helper()
	g.sh("chmod 600 /etc/mape-netplan.yaml; cat >/etc/mape-netplan.yaml <<'END'\n" + plainSection + line.section + "END")
	if err := g.network.Relay.Renumber(line.far, grace); err != nil {
		g.Fatal(err)
	}
	begin := time.Now()
	g.sh("mape-netplan apply")
	g.reached()
	g.Logf("the LAN host gets through %s after the change", time.Since(begin).Round(time.Second))
	// networkd forgets the line's resolver when it reads a changed file, until the router says it again.
	g.until("grep DNS=.*" + lab.ResolverAddress.String() + " /run/systemd/netif/links/*")
	g.works(line)
}

func (g *guest) works(line modeLine) {
	g.Helper()
	if out := g.sh("mape-netplan apply"); out != "unchanged\n" {
		g.Errorf("the second apply: %s", out)
	}
	if out := g.sh("mape-netplan status --json"); !strings.Contains(out, `"mode": "`+line.far.Mode.String()+`"`) {
		g.Errorf("status does not say %s:\n%s", line.far.Mode, out)
	}
	g.traffic()
	for _, err := range []error{g.upload(g.ctx, lab.Servers[1], 300_000), g.download(g.ctx, lab.Servers[2], 300_000), g.long(3000)} {
		if err != nil {
			g.Error(err)
		}
	}
	if line.inbound.IsValid() {
		next := netip.AddrPortFrom(line.inbound.Addr(), line.inbound.Port()+1)
		got := []string{answerOf(g.ctx, g.network.Inet, "tcp", line.inbound, 30*time.Second), answerOf(g.ctx, g.network.Inet, "udp", next, 2*time.Second)}
		if !strings.HasPrefix(got[0], "lan:8023 203.0.113.10:") || got[1] != "" {
			g.Errorf("from the internet %s says %q, and the port after it %q", line.inbound, got[0], got[1])
		}
	}
	g.judged()
}

// long sends an echo a datagram that is longer than any packet.
func (g *guest) long(size int) error {
	conn, err := g.network.LAN.Dial(g.ctx, "udp4", lab.Servers[1]+":7")
	if err != nil {
		return err
	}
	defer conn.Close()
	for range 5 { // one may be lost
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		n := 0
		if _, err = conn.Write(make([]byte, size)); err == nil {
			n, err = conn.Read(make([]byte, 2*size))
		}
		if err == nil && n != size {
			return fmt.Errorf("%d bytes of a datagram of %d came back", n, size)
		}
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("a datagram of %d bytes: %w", size, err)
}

// registered: the fixed address was registered once, from the CE address, and its password is nowhere to be read.
func (g *guest) registered() {
	want := lab.Registration{From: ipipLine.far.CE, Host: "fcs.enabler.ne.jp", Path: "/update", Query: "user=user01&pass=p%26ss%20w%25rd"}
	if seen := g.network.Registrar.Seen(); !slices.Equal(seen, []lab.Registration{want}) {
		g.Errorf("the registrar has seen %+v, want one %+v", seen, want)
	}
	const told = "mape-netplan status; mape-netplan status --json; mape-netplan plan; mape-netplan doctor --json; journalctl -b --no-pager; grep -r . /etc/netplan /etc/systemd /run/systemd/network; true"
	if out := g.sh(told); strings.Contains(out, "p&ss") || strings.Contains(out, "p%26ss") {
		g.Error("the password is told")
	}
}
