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
    registration: {provider: v6plus, user: user01, password: "p&ss%rd"}
  forwards: [{port: 22, to: "192.168.1.10:8023"}]
`, lab.Judge{
		Mode: lab.IPIP, CE: netip.MustParseAddr("2400:4050:5c71:af00::feed"), BR: netip.MustParseAddr("2404:9200:225:100::65"),
		IPv4: netip.MustParsePrefix("192.0.2.24/32"),
	}, netip.MustParseAddrPort("192.0.2.24:22")}
	dsLiteLine = modeLine{section: "  ds-lite: {aftr: gw.transix.jp}\n", far: lab.Judge{
		Mode: lab.DSLite, CE: netip.MustParseAddr("2400:4050:5c71:af00::5"), BR: netip.MustParseAddr("2404:8e00::feed:100"),
		IPv4: netip.MustParsePrefix("192.168.1.0/24"),
	}}
	// EA bits 0x71af.
	mapTLine = modeLine{`  dmr: "2001:db8:ffff::/64"
  rules: [{ipv6: "2400:4050:5c00::/40", ipv4: 192.0.2.0/24, ea-bits: 16, psid-offset: 6}]
  forwards: [{port: 1724, to: "192.168.1.10:8023"}]
`, lab.Judge{
		Mode: lab.MAPT, CE: netip.MustParseAddr("2400:4050:5c71:af00:0:c000:271:af"), BR: netip.MustParseAddr("2001:db8:6::1"),
		IPv4: netip.MustParsePrefix("192.0.2.113/32"), InSet: func(port uint16) bool { return port >= 1024 && port>>2&255 == 0xaf },
		DMR: netip.MustParsePrefix("2001:db8:ffff::/64"),
	}, netip.MustParseAddrPort("192.0.2.113:1724")}

	// The two CEs of the network in Jool's MAP-T tutorial. For the second it prints the ports of PSID 14, where the EA
	// bits of 0x774 make PSID 20.
	jool11b = jool("2001:db8:ce:11b:0:c000:208:1b", "192.0.2.8", 55296)
	jool774 = jool("2001:db8:ce:774:0:c000:23b:14", "192.0.2.59", 40960)
)

func jool(ce, ipv4 string, first uint16) modeLine {
	address, forwarded := netip.MustParseAddr(ipv4), first+4
	return modeLine{fmt.Sprintf(`  dmr: "64:ff9b::/96"
  rules: [{ipv6: "2001:db8:ce::/51", ipv4: 192.0.2.0/24, ea-bits: 13, psid-offset: 0}]
  forwards: [{port: %d, to: "192.168.1.10:8023"}]
`, forwarded), lab.Judge{
		Mode: lab.MAPT, CE: netip.MustParseAddr(ce), BR: netip.MustParseAddr("2001:db8:6::1"), IPv4: netip.PrefixFrom(address, 32),
		InSet: func(port uint16) bool { return port>>11 == first>>11 }, DMR: netip.MustParsePrefix("64:ff9b::/96"),
	}, netip.AddrPortFrom(address, forwarded)}
}

// rebooted are the modes in which each machine is rebooted. All of them are in that of MAP-E.
var rebooted = map[string][]lab.Mode{"bookworm": {lab.MAPT}, "trixie": {lab.LW4o6, lab.DSLite}, "forky": {lab.IPIP}}

// modes: by a change of its section the gateway goes through all modes while the LAN host sends all the time, and not one
// packet leaves that the far end of the old or of the new mode finds wrong.
func (g *guest) modes(release string) {
	if err := g.network.Say(8023); err != nil {
		g.Fatal(err)
	}
	g.network.Resolver.Know("gw.transix.jp", dsLiteLine.far.BR)
	g.network.Resolver.Know("fcs.enabler.ne.jp", lab.RegistrarAddress)
	with := usualLine
	with.Resolver = lab.ResolverAddress
	g.announce(with)
	g.until("ip -6 route show default | grep eth1 && grep DNS=.*" + lab.ResolverAddress.String() + " /run/systemd/netif/links/*")
	g.sh("mape-netplan apply")
	g.reached()

	ctx, cancel := context.WithCancel(g.ctx)
	defer cancel()
	var traffic sync.WaitGroup
	defer traffic.Wait()
	for _, script := range []string{
		"while sleep 0.05; do ping -n -c 1 -W 1 " + lab.Servers[4] + "; done",
		"while sleep 0.05; do echo hello >/dev/udp/" + lab.Servers[5] + "/7; done",
	} {
		traffic.Go(func() { g.network.LAN.Output(ctx, "bash", "-c", script) })
	}
	for _, line := range []modeLine{lw4o6Line, ipipLine, dsLiteLine, mapTLine} {
		g.step(line.far.Mode.String(), func(g *guest) {
			g.becomes(line)
			switch line.far.Mode {
			case lab.IPIP:
				g.registered()
			case lab.DSLite:
				g.untranslated()
				g.farEndMoves()
			}
			if full() || slices.Contains(rebooted[release], line.far.Mode) {
				g.returns(line)
			}
		})
	}
	for _, line := range []modeLine{jool11b, jool774} {
		g.step("renumbered "+line.far.IPv4.String(), func(g *guest) {
			prefix := netip.PrefixFrom(line.far.CE, 64).Masked()
			g.renumber(prefix.String(), strings.TrimSuffix(prefix.Addr().String(), ":"))
			g.becomes(line)
		})
	}
	cancel()
	traffic.Wait()
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

// returns reboots the machine, and it is a gateway of the same mode again.
func (g *guest) returns(line modeLine) {
	g.Helper()
	g.sh("mape-netplan install --timeout 10m")
	if err := g.vm.Reboot(g.ctx); err != nil {
		g.Fatal(err)
	}
	g.cloudInit()
	g.reached()
	g.booted()
	g.sh("mape-netplan uninstall --timeout 10m")
	g.works(line)
}

// becomes changes the section and the far end, and everything works: all that people do, long packets both ways, what is
// forwarded and nothing else.
func (g *guest) becomes(line modeLine) {
	g.Helper()
	g.sh("cat >/etc/mape-netplan.yaml <<'END'\n" + plainSection + line.section + "END")
	if err := g.network.Relay.Renumber(line.far, grace); err != nil {
		g.Fatal(err)
	}
	begin := time.Now()
	g.sh("mape-netplan apply")
	g.reached()
	g.Logf("the LAN host gets through %s after the change", time.Since(begin).Round(time.Second))
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
	want := lab.Registration{From: ipipLine.far.CE, Host: "fcs.enabler.ne.jp", Path: "/update", Query: "user=user01&pass=p%26ss%25rd"}
	if seen := g.network.Registrar.Seen(); !slices.Equal(seen, []lab.Registration{want}) {
		g.Errorf("the registrar has seen %+v, want one %+v", seen, want)
	}
	const told = "mape-netplan status; mape-netplan status --json; mape-netplan plan; mape-netplan doctor --json; journalctl -b --no-pager; grep -r . /etc/netplan /etc/systemd /run/systemd/network; true"
	if out := g.sh(told); strings.Contains(out, "p&ss") || strings.Contains(out, "p%26ss") {
		g.Error("the password is told")
	}
}

// untranslated: the LAN's own addresses and ports are what the AFTR sees.
func (g *guest) untranslated() {
	to := serverPort(1, 7)
	all := g.sockets(1)
	if !asked(all[0], to) {
		g.Fatal("no answer")
	}
	from := netip.AddrPortFrom(netip.MustParseAddr(lab.Host), all[0].LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Port())
	if !g.network.Relay.Saw("udp", from, to) {
		g.Errorf("the AFTR did not see %s", from)
	}
	g.sh("ping -c 1 -W 10 " + lab.Servers[1]) // from 192.0.0.2
}

// farEndMoves: the AFTR's address is kept while it is in the answer, and while there is none.
func (g *guest) farEndMoves() {
	resolver, other := g.network.Resolver, dsLiteLine
	other.far.BR = netip.MustParseAddr("2404:8e01::feed:101")
	resolver.Know("gw.transix.jp", other.far.BR, dsLiteLine.far.BR)
	if out := g.sh("mape-netplan apply"); out != "unchanged\n" {
		g.Errorf("with another first: %s", out)
	}
	resolver.Silence(true)
	if out := g.sh("mape-netplan apply"); !strings.HasSuffix(out, "unchanged\n") {
		g.Errorf("without a resolver: %s", out)
	}
	resolver.Silence(false)
}

// keaLine is what the options of the line's DHCPv6 server make of the prefix that it delegates: by option 111 MAP-E is first.
var keaLine = lab.Judge{
	CE: netip.MustParseAddr("2001:db8:12:3400:0:c000:212:34"), BR: netip.MustParseAddr("2001:db8:ffff::1"),
	IPv4: netip.MustParsePrefix("192.0.2.18/32"), InSet: func(port uint16) bool { return port >= 1024 && port>>2&255 == 52 },
}

// options: the softwire is what a real DHCPv6 server says, and networkd's lease is not touched by the question.
func (g *guest) options() {
	prefix := netip.MustParsePrefix("2001:db8:12:3400::/56")
	if err := g.network.Relay.SetJudge(keaLine); err != nil {
		g.Fatal(err)
	}
	if err := g.network.Provision(prefix); err != nil {
		g.Fatal(err)
	}
	g.announce(lab.Announce{Managed: true})
	g.until("ip -6 route show type unreachable | grep " + prefix.String())
	const lease = "ip -6 route show type unreachable; journalctl -u systemd-networkd -o cat --no-pager | grep 'eth1: DHCP' || true"
	before := g.sh(lease)
	g.sh("echo 'mape: {wan: eth1, lan: eth0, provider: dhcpv6}' >/etc/mape-netplan.yaml")
	g.sh("mape-netplan apply --timeout 1m")
	g.reached()
	g.works(modeLine{far: keaLine})
	if after := g.sh(lease); after != before {
		g.Errorf("networkd's lease was\n%sand is\n%s", before, after)
	}
	g.delegate(netip.Prefix{})
	g.sh("mape-netplan remove")
	g.sh("printf '" + strings.ReplaceAll(plainSection, "\n", `\n`) + "' >/etc/mape-netplan.yaml; networkctl reconfigure eth1")
	g.asBefore()
	if err := g.network.Relay.SetJudge(ocnLine); err != nil {
		g.Fatal(err)
	}
	g.announce(usualLine)
}
