package main

import (
	"net/netip"
	"strings"
	"time"

	"mape-netplan/cmd/mape-netplan/internal/lab"
)

// The delegated line of the test: the same shared address, PSID 48.
var (
	delegatedLine = lab.Judge{
		CE:    netip.MustParseAddr("2400:4050:5c71:b000:99:f171:c600:3000"),
		BR:    ocnLine.BR,
		IPv4:  ocnLine.IPv4,
		InSet: func(port uint16) bool { return port >= 1024 && port>>4&63 == 48 },
	}
	delegatedPrefix = netip.MustParsePrefix("2400:4050:5c71:b000::/56")
	delegatedPart   = netip.MustParsePrefix("2400:4050:5c71:b0f0::/60")
)

// delegation: where the section wants one, networkd asks a real DHCPv6 server
// for a prefix, which goes before the one that the router advertises, as whole
// /56 and as a home gateway's /60. Nothing of it is left afterwards.
//
// The server has one prefix, and networkd up to 252 does not release it: which
// DUID gets it must not hang on who is faster. So the router has the M flag
// only where networkd shall come to it by itself.
func (g *guest) delegation() {
	if err := g.network.Relay.SetJudge(delegatedLine); err != nil {
		g.Fatal(err)
	}
	g.announce(usualLine)
	g.sh("cp /etc/mape-netplan.yaml /root/section; echo 'mape: {wan-prefix: pd}' >/etc/mape-netplan.yaml")
	// Without a DHCPv6 server apply says so, and takes back what it asked.
	if out, exit := g.exits("mape-netplan apply --timeout 3s"); exit != exitFailed || !strings.Contains(out, "no prefix has been delegated to eth1 yet, and mape.wan-prefix is pd;") {
		g.Errorf("apply without a server: exit %d\n%s", exit, out)
	}
	g.asBefore()

	// The server comes while it is waited for.
	late := make(chan error, 1)
	time.AfterFunc(3*time.Second, func() { late <- g.network.Delegate(delegatedPrefix) })
	out := g.sh("mape-netplan apply --timeout 1m")
	if err := <-late; err != nil {
		g.Fatal(err)
	}
	if !strings.Contains(out, "\ncreated tunnel mape0\n") || strings.Contains(warned(out), "warning") {
		g.Errorf("apply says\n%s", out)
	}
	const asks = "/etc/systemd/network/10-netplan-eth1.network.d/50-mape.conf"
	out = g.sh("cat " + asks + "; mape-netplan status; ip -6 route; grep -h DUID /run/systemd/netif/links/*; ip -6 address show dev eth1")
	for _, want := range []string{
		"DHCPv6Client=always", "ok  networkd eth1\n", "unreachable 2400:4050:5c71:b000::/56 dev lo proto dhcp", " via fe80::1 dev eth1 proto ra",
		"DUID-LL:0001bc2411000002", "2400:4050:5c71:b000:99:f171:c600:3000/128 scope global deprecated", "2400:4050:5c71:af00:be24:11ff:fe00:2/64 scope global dynamic",
	} {
		if !strings.Contains(out, want) {
			g.Errorf("%q is not in\n%s", want, out)
		}
	}
	if out := g.sh("mape-netplan apply"); out != "unchanged\n" {
		g.Errorf("the second apply: %s", out)
	}
	g.reached()
	g.traffic()
	g.undelegate()

	// What networkd has come to by itself it keeps, and the DUID that has it.
	g.announce(lab.Announce{Prefix: linePrefix, Autonomous: true, Managed: true})
	g.delegate(delegatedPart)
	g.sh("timeout 60 sh -c 'until ip -6 route show type unreachable | grep " + delegatedPart.String() + "; do sleep 0.2; done'")
	out = g.sh("mape-netplan apply --timeout 1m; mape-netplan apply; ip -6 route show type unreachable; grep -h DUID /run/systemd/netif/links/*; cat " + asks)
	for _, want := range []string{
		"warning: 2400:4050:5c71:b0f0::/60 is not the first subnet of 2400:4050:5c71:b000::/56", "\nunchanged\n",
		"\nunreachable 2400:4050:5c71:b0f0::/60 dev lo proto dhcp", "DHCPv6Client=always",
	} {
		if !strings.Contains(out, want) {
			g.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "DUID-LL") || strings.Contains(out, "DUIDType") {
		g.Errorf("the DUID has been changed:\n%s", out)
	}
	g.reached()
	g.judged()
	g.undelegate()

	g.sh("mv /root/section /etc/mape-netplan.yaml")
	if err := g.network.Relay.SetJudge(ocnLine); err != nil {
		g.Fatal(err)
	}
	g.announce(usualLine)
}

// undelegate: nothing is left of the gateway or of a delegation. The server
// goes first: where the router says that there is one, networkd asks it for all
// that it has, unless told otherwise.
func (g *guest) undelegate() {
	g.Helper()
	g.delegate(netip.Prefix{})
	g.sh("mape-netplan remove")
	g.asBefore()
}

func (g *guest) delegate(prefix netip.Prefix) {
	g.Helper()
	if err := g.network.Delegate(prefix); err != nil {
		g.Fatal(err)
	}
}

// asBefore: nothing of ours is left, nor of a delegation.
func (g *guest) asBefore() {
	g.Helper()
	const look = "/root/look | diff -u /root/before -; find /etc/systemd/network -name '*.d'; ip -6 route show type unreachable"
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		out := g.sh(look)
		if out == "" {
			return
		}
		if time.Now().After(end) {
			g.Fatalf("not as before:\n%s", out)
		}
	}
}
