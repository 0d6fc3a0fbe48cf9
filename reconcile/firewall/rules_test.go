package firewall_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/firewall"
	"mape-netplan/reconcile/firewall/ruleset"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/schema"
)

const (
	snatFirst     = " before table ip mape does, and the guard drops it then; begin the rule with oifname != \"mape0\", or give its chain the priority srcnat"
	untrackedText = " packets on their way through mape0 from connection tracking, and what is not tracked cannot be translated; restrict the rule by interface or address"
)

// TestForeignRules: single rules, and what can be decided about them. Chains are of table inet t; "want" leaves that out.
func TestForeignRules(t *testing.T) {
	t.Parallel()
	const (
		post = "chain c { type nat hook postrouting priority 0; "
		raw  = "chain c { type filter hook prerouting priority raw; "
		drop = "chain c { type filter hook forward priority 0; policy drop; "
		open = "chain c { type filter hook forward priority 0; "
		in   = "chain c { type filter hook input priority 0; policy drop; meta l4proto ipv6-icmp accept; "
	)
	masquerades := func(does, rule string) string {
		return "rule handle N (" + rule + ") " + does + " what leaves through mape0" + snatFirst
	}
	both := "new connections from eth0 to mape0 and the answers from mape0 to eth0; to let that through: nft insert rule inet t c iifname eth0 oifname mape0 accept; " +
		"nft insert rule inet t c iifname mape0 oifname eth0 ct state established,related accept (until the next boot)"
	out := "new connections from eth0 to mape0; to let that through: nft insert rule inet t c iifname eth0 oifname mape0 accept (until the next boot)"
	n := bystander(t)
	for _, test := range []struct{ rules, want string }{
		// Translation of the source: only what comes before ours and can meet what leaves through the tunnel.
		{post + "masquerade; }", masquerades("translates", "masquerade")},
		{post + "oifname mape0 snat ip to 192.0.2.1; }", masquerades("translates", `oifname "mape0" snat`)},
		{post + "ip saddr 192.168.0.0/16 oifname != eth0 masquerade; }", masquerades("translates", `ip saddr 192.168.0.0/16 oifname != "eth0" masquerade`)},
		{post + "meta mark 1 masquerade; }", masquerades("may translate", "meta mark 0x1 masquerade")},
		{post + "oifname eth1 masquerade; }", ""},
		{post + "ip saddr 172.17.0.0/16 masquerade; }", ""},
		{post + "ip saddr { 10.0.0.0/8, 172.16.0.0/12 } masquerade; }", ""},
		{post + "ip daddr 10.8.0.0/24 masquerade; }", ""},
		{post + "meta nfproto ipv6 masquerade; }", ""},
		{post + "oifname mape0 accept; masquerade; }", ""},
		{"chain c { type nat hook postrouting priority srcnat; masquerade; }", ""},
		// Connection tracking.
		{raw + "udp dport 53 notrack; }", "rule handle N (l4proto udp dport 53 notrack) may take" + untrackedText},
		{raw + "iifname eth1 notrack; }", ""},
		{raw + "ip daddr 192.168.1.1 udp dport 53 notrack; }", ""},
		{raw + "iif eth0 notrack; }", "rule handle N (iif N notrack) takes" + untrackedText},
		{"chain c { type filter hook prerouting priority 0; notrack; }", ""},
		// Forwarding: what is dropped, what may be, and what is intended.
		{drop + "}", "the policy drops " + both},
		{drop + "ct state established,related accept; }", "the policy drops " + out},
		{drop + "ct state vmap { established : accept, related : accept, invalid : drop }; iifname eth0 accept; }", ""},
		{drop + "ct state { established, related } accept; meta mark 1 accept; }", "the policy may drop " + out},
		{drop + "ct state established accept; iifname eth0 oifname mape0 tcp dport { 80, 443 } accept; }", ""},
		{drop + "ct state established accept; iifname . oifname { eth0 . mape0 } accept; }", ""},
		{drop + "ct state established accept; iifname . oifname vmap { eth0 . eth1 : accept, eth0 . mape0 : goto d }; } chain d { accept; }", ""},
		{drop + "ct state established accept; iifname eth* oifname mape* ip saddr 192.168.0.0-192.168.255.255 accept; }", ""},
		{drop + "ct state established accept; ip saddr 192.168.1.128/25 accept; }", "the policy may drop " + out},
		{drop + "ct state established accept; ip saddr != 10.0.0.0/8 jump d; } chain d { oif eth1 return; accept; }", ""},
		{"chain c { type filter hook forward priority 0; ct state established accept; oifname vmap { eth1 : accept, * : drop }; }", "rule handle N (oifname vmap) drops " + out},
		{"chain c { type filter hook forward priority 0; meta l4proto tcp limit rate 5/second drop; ip saddr @bad drop; } set bad { type ipv4_addr\n elements = { 192.168.1.7 }\n}", ""},
		{"chain c { type filter hook forward priority 0; iifname wg0 drop; oifname != { eth0, mape0, eth1 } reject; }", ""},
		{"chain c { type filter hook forward priority 0; policy accept; jump d; } chain d { ct state new reject; }", ", by chain d: rule handle N (ct state new reject) drops " + out},
		// Drops that depend on more than is known: by a mark, which the usual packet does not have, or by what cannot be decided.
		{open + "oifname != wg0 meta mark != 0xca6c reject; }", `rule handle N (oifname != "wg0" meta mark != 0xca6c reject) may drop ` + both},
		{open + "meta mark & 0xff00 == 0 drop; }", "rule handle N (meta mark 0x0 drop) may drop " + both},
		{open + "ct mark != 1 drop; }", "rule handle N (ct mark != 0x1 drop) may drop " + both},
		{open + "meta ipsec missing drop; }", "rule handle N (meta ipsec 0 drop) may drop " + both},
		{open + "limit rate over 100/second drop; }", "rule handle N (limit … drop) may drop " + both},
		{open + "ip saddr != @good drop; } set good { type ipv4_addr\n elements = { 192.168.1.7 }\n}", "rule handle N (ip saddr … drop) may drop " + both},
		{open + "jump d; } chain d { meta mark 1 return; drop; }", ", by chain d: rule handle N (drop) may drop " + both},
		{open + "jump d; } chain d { meta mark != 1 return; drop; }", ""},
		{open + "oifname vmap { eth0 : accept, eth1 : accept }; meta mark vmap { 0 : drop, 1 : accept }; }", "rule handle N (meta mark vmap) may drop " + out},
		{open + "meta mark 0x8000 drop; meta mark & 0x8000 == 0x8000 drop; }", ""},
		{open + "oifname != { wg0, eth0 } drop; }", `rule handle N (oifname != "eth0","wg0" drop) drops ` + out},
		{drop + "ct state established,related accept; meta mark 0 accept; }", ""},
		// Drops that meet no usual packet, or are meant for some hosts and ports.
		{open + "ct state invalid drop; meta pkttype { broadcast, multicast } drop; ip saddr 192.168.1.7 drop; meta l4proto { tcp, udp } th dport 25 reject; }", ""},
		{open + "tcp flags & (fin | syn | rst | ack) != syn ct state new drop; tcp flags & (fin | syn) == fin | syn drop; tcp flags 0x0 drop; }", ""},
		{"chain c { type filter hook prerouting priority -150; fib saddr . iif oif missing drop; meta nfproto ipv4 fib daddr type { broadcast, anycast, multicast } drop; }", ""},
		{raw + "ct state invalid iifname eth0 drop; }", `rule handle N (ct state invalid iifname "eth0" drop) drops ` + strings.Replace(out, " oifname mape0", "", 1)},
		// What meets no packet, or only the outer ones of the tunnel.
		{"flags dormant; " + drop + "}", ""},
		{`chain c { type filter hook ingress device "eth1" priority -500; ip saddr 192.168.0.0/16 drop; }`, ""},
		{`chain c { type filter hook ingress device "eth1" priority -500; policy drop; }`, ""},
		// This machine's own connections, and the packets that carry everything.
		{in + "ct state established,related accept; }", ""},
		{in + "iifname { lo, eth0, mape0 } accept; }", "the policy drops the tunnel's packets from the border relay 2001:db8:ffff::1; to let that through: nft insert rule inet t c iifname eth1 ip6 saddr 2001:db8:ffff::1 meta l4proto 4 accept (until the next boot)"},
		{in + "iifname { lo, eth0, mape0 } accept; ip6 saddr 2001:db8:ffff::/48 accept; }", ""},
		{in + "iifname mape0 accept; meta l4proto 4 accept; }", ""},
		{"chain c { type filter hook prerouting priority 0; iifname eth1 meta l4proto 4 drop; }", `rule handle N (iifname "eth1" l4proto 4 drop) drops the tunnel's packets from the border relay 2001:db8:ffff::1; to let that through: nft insert rule inet t c iifname eth1 ip6 saddr 2001:db8:ffff::1 meta l4proto 4 accept (until the next boot)`},
		{"chain c { type filter hook prerouting priority raw; meta nfproto ipv6 fib saddr . mark . iif oif missing drop; meta nfproto ipv6 notrack; }", ""},
		{"chain c { type filter hook output priority 0; policy drop; oifname { lo, eth0, eth1 } accept; }", "the policy drops this machine's own connections through mape0; to let that through: nft insert rule inet t c oifname mape0 accept (until the next boot)"},
	} {
		t.Run(test.rules, func(t *testing.T) {
			table(t, n, test.rules)
			var want []string
			if test.want != "" {
				want = []string{"table inet t, chain c: " + test.want}
				if strings.HasPrefix(test.want, ", by") {
					want = []string{"table inet t, chain c" + test.want}
				}
			}
			wantForeign(t, n, want)
		})
	}
}

// TestForeignForward: ports that are forwarded to a host have to get through too.
func TestForeignForward(t *testing.T) {
	t.Parallel()
	n := bystander(t)
	table(t, n, "chain c { type filter hook forward priority 0; policy drop; ct state established accept; iifname eth0 accept; }")
	p, f := foreignPaths(t, n)
	p.Forwards = []schema.Forward{{Protocol: "tcp", To: netip.MustParseAddrPort("192.168.1.20:80")}}
	want := "table inet t, chain c: the policy drops forwarded ports from mape0 to eth0 (tcp 192.168.1.20:80); to let that through: nft insert rule inet t c iifname mape0 oifname eth0 ct status dnat accept (until the next boot)"
	if got := warnings(p, f); len(got) != 1 || got[0] != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	n.Exec(t, "nft", "insert rule inet t c iifname mape0 oifname eth0 ct status dnat accept")
	if _, f = foreignPaths(t, n); len(warnings(p, f)) > 0 {
		t.Errorf("after that: %q", warnings(p, f))
	}
}

// TestForeignTargets: the target of a forward decides what it meets, and its address, port and protocol what lets it pass.
func TestForeignTargets(t *testing.T) {
	t.Parallel()
	const (
		in      = "chain c { type filter hook input priority 0; policy drop; meta l4proto ipv6-icmp accept; ip6 saddr 2001:db8:ffff::/48 accept; ct state established,related accept; iifname eth0 accept; "
		forward = "chain c { type filter hook forward priority 0; policy drop; ct state established accept; iifname eth0 accept; "
		does    = "table inet t, chain c: the policy drops "
		itself  = does + "what is forwarded to this machine (udp 2222); to let that through: nft insert rule inet t c iifname mape0 ct status dnat accept (until the next boot)"
		host    = does + "forwarded ports from mape0 to eth0 (tcp 192.168.1.10:22); to let that through: nft insert rule inet t c iifname mape0 oifname eth0 ct status dnat accept (until the next boot)"
		guest   = does + "forwarded ports from mape0 to docker0 (tcp 172.17.0.2:80); to let that through: nft insert rule inet t c iifname mape0 oifname docker0 ct status dnat accept (until the next boot)"
		loop    = does + "connections from eth0 to forwarded ports on eth0 (tcp 192.168.1.10:22) and the answers of forwarded ports from eth0 to eth0; " +
			"to let that through: nft insert rule inet t c iifname eth0 oifname eth0 ct status dnat accept (until the next boot)"
		strict = "chain c { type filter hook forward priority 0; policy drop; iifname eth0 oifname { mape0, docker0 } accept; iifname { mape0, docker0 } accept; "
	)
	n := bystander(t)
	for _, test := range []struct {
		name, rules string
		which       []int
		want        []string
	}{
		{"itself", in + "}", []int{1}, []string{itself}},
		{"itself, forward", forward + "}", []int{1}, nil},
		{"itself, allowed", in + "iifname mape0 udp dport 2222 accept; }", []int{1}, nil},
		{"itself, another port", in + "iifname mape0 udp dport 2223 accept; }", []int{1}, []string{itself}},
		{"host and container", forward + "oifname mape0 accept; }", []int{0, 2}, []string{host, guest}},
		{"container", forward + "oifname mape0 accept; iifname mape0 oifname eth0 accept; }", []int{0, 2}, []string{guest}},
		{"hairpin", strict + "}", []int{0}, []string{loop}},
		{"hairpin, allowed", strict + "iifname eth0 oifname eth0 ct status dnat accept; }", []int{0}, nil},
		{"narrow", forward + "ip daddr 192.168.1.10 tcp dport 22 accept; }", []int{0}, nil},
		{"narrow set", forward + "ip daddr . tcp dport { 192.168.1.10 . 22, 192.168.1.10 . 80 } accept; }", []int{0}, nil},
		{"another protocol", forward + "ip daddr 192.168.1.10 udp dport 22 accept; }", []int{0}, []string{host}},
		{"another host", forward + "ip daddr 192.168.1.11 tcp dport 22 accept; }", []int{0}, []string{host}},
		{"before the translation", "chain c { type filter hook prerouting priority raw; policy drop; iifname mape0 ip daddr 192.168.1.10 drop; accept; }", []int{0}, nil},
		{"behind the translation", "chain c { type filter hook prerouting priority 0; iifname mape0 tcp dport 22 drop; }", []int{0}, []string{
			"table inet t, chain c: rule handle N (iifname \"mape0\" l4proto tcp dport 22 drop) drops forwarded ports from mape0 to eth0 (tcp 192.168.1.10:22); to let that through: nft insert rule inet t c iifname mape0 ct status dnat accept (until the next boot)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			table(t, n, test.rules)
			var forwards []schema.Forward
			for _, i := range test.which {
				forwards = append(forwards, gatewaytest.ForwardTargets(1000)[i])
			}
			if got := withForwards(t, n, forwards); !slices.Equal(got, test.want) {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// TestForeignUFW: what ufw has for exactly one host, port and protocol is enough, written as iptables of any version does.
func TestForeignUFW(t *testing.T) {
	t.Parallel()
	n := bystander(t)
	install(t, n, "ufw-route.rules")
	feed(t, n, "*filter\n:INPUT ACCEPT\nCOMMIT\n", "ip6tables-nft-restore")
	n.Exec(t, "iptables-nft", "-A", "ufw-user-forward", "-i", "eth0", "-j", "ACCEPT")
	forwards := gatewaytest.ForwardTargets(1000)
	want := []string{
		"table ip filter, chain FORWARD: the policy drops forwarded ports from mape0 to eth0 (tcp 192.168.1.10:22); to let that through: ufw route allow in on mape0 out on eth0",
		"table ip filter, chain INPUT: the policy drops what is forwarded to this machine (udp 2222); to let that through: ufw allow in on mape0 to any port 2222 proto udp",
		"table ip filter, chain INPUT: the policy drops connections from eth0 to forwarded ports of this machine (udp 2222); to let that through: ufw allow in on eth0 to any port 2222 proto udp",
	}
	if got := withForwards(t, n, forwards[:2]); !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, rule := range []string{
		"ufw-user-forward -p tcp -d 192.168.1.10 --dport 22 -j ACCEPT",
		"ufw-user-input -p udp -m multiport --dports 80,2000:3000 -j ACCEPT",
	} {
		n.Exec(t, "iptables-nft", append([]string{"-A"}, strings.Fields(rule)...)...)
	}
	if got := withForwards(t, n, forwards[:2]); len(got) > 0 {
		t.Errorf("after that:\n%s", strings.Join(got, "\n"))
	}
}

// TestForeignNoLAN: without a LAN that is known, the way out and the way back are still looked at, and said to be general.
func TestForeignNoLAN(t *testing.T) {
	t.Parallel()
	n := bystander(t)
	check := func(want ...string) {
		t.Helper()
		p, f := foreignPaths(t, n)
		p.LAN = nil
		got := warnings(p, f)
		if !slices.Equal(got, want) {
			t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for _, w := range got {
			obey(t, n, w)
		}
		if _, f = foreignPaths(t, n); len(warnings(p, f)) > 0 && strings.Contains(want[0], "boot") {
			t.Errorf("after that: %q", warnings(p, f))
		}
		n.Exec(t, "nft", "flush", "ruleset")
	}
	const note = "; as mape.lan does not say what the LAN is, this is about every interface; to let that through: "
	table(t, n, "chain c { type filter hook forward priority 0; policy drop; }")
	check("table inet t, chain c: the policy drops what is forwarded to mape0 and the answers from mape0 to what is forwarded there" + note +
		"nft insert rule inet t c oifname mape0 accept; nft insert rule inet t c iifname mape0 ct state established,related accept (until the next boot)")
	table(t, n, "chain c { type filter hook forward priority 0; policy drop; oifname mape0 accept; }")
	check("table inet t, chain c: the policy drops the answers from mape0 to what is forwarded there" + note +
		"nft insert rule inet t c iifname mape0 ct state established,related accept (until the next boot)")
	table(t, n, "chain c { type filter hook forward priority 0; policy drop; ct state established accept; oifname mape0 accept; }")
	check()
	install(t, n, "docker.rules")
	check("table ip filter, chain FORWARD: the policy may drop what is forwarded to mape0 and the answers from mape0 to what is forwarded there" + note +
		"iptables -I DOCKER-USER -o mape0 -j ACCEPT; iptables -I DOCKER-USER -i mape0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT (until the next boot)")
	install(t, n, "ufw.rules")
	check("table ip filter, chain FORWARD: the policy drops what is forwarded to mape0" + note + "ufw route allow out on mape0")
}

// TestForeignAdvice: the commands that a warning prints silence it, those of nft and those of iptables-nft.
func TestForeignAdvice(t *testing.T) {
	t.Parallel()
	const tail = " { type filter hook %s priority 0; policy drop\n}\n"
	for name, rules := range map[string]func(n *hosttest.NS){
		"nft": func(n *hosttest.NS) {
			table(t, n, "chain i"+fmt.Sprintf(tail, "input")+"chain f"+fmt.Sprintf(tail, "forward")+"chain o"+fmt.Sprintf(tail, "output"))
		},
		"iptables": func(n *hosttest.NS) {
			feed(t, n, "*filter\n:INPUT DROP\n:FORWARD DROP\n:OUTPUT DROP\nCOMMIT\n", "iptables-nft-restore")
			feed(t, n, "*filter\n:INPUT DROP\n:OUTPUT DROP\nCOMMIT\n", "ip6tables-nft-restore")
		},
		"docker": func(n *hosttest.NS) { install(t, n, "docker.rules") },
	} {
		t.Run(name, func(t *testing.T) {
			n := bystander(t)
			rules(n)
			p, f := foreignPaths(t, n)
			p.Forwards = []schema.Forward{{Protocol: "tcp", To: netip.MustParseAddrPort("192.168.1.20:80")}}
			all := warnings(p, f)
			if len(all) == 0 {
				t.Fatal("no warning")
			}
			for _, w := range all {
				if !obey(t, n, w) {
					t.Errorf("cannot be run: %s", w)
				}
				if _, f = foreignPaths(t, n); slices.Contains(warnings(p, f), w) {
					t.Errorf("not silenced: %s", w)
				}
			}
			if got := warnings(p, f); len(got) > 0 {
				t.Errorf("after all: %q", got)
			}
		})
	}
}

// TestForeignMaze: rules that lead everywhere many times over end a walk without an opinion.
func TestForeignMaze(t *testing.T) {
	t.Parallel()
	rs := ruleset.Ruleset{Chains: []ruleset.Chain{{Name: "0", Type: "filter", Hook: "forward", Drop: true}}}
	for i := range 15 {
		rs.Chains = append(rs.Chains, ruleset.Chain{Name: fmt.Sprint(i + 1)})
		for range 10 {
			rs.Chains[i].Rules = append(rs.Chains[i].Rules, ruleset.Rule{Steps: []ruleset.Step{{Do: ruleset.DoJump, To: fmt.Sprint(i + 1)}}})
		}
	}
	p := firewall.Paths{Tunnel: kernel.Link{Name: "mape0"}, WAN: kernel.Link{Name: "eth1"}, LAN: []kernel.Link{{Name: "eth0"}}}
	if got := warnings(p, firewall.Foreign{Ruleset: rs}); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// TestForeignIPTables is TestForeignRules for what iptables-nft writes with modules of its own.
func TestForeignIPTables(t *testing.T) {
	t.Parallel()
	n := bystander(t)
	for _, test := range []struct{ rules, want string }{
		{"-A FORWARD ! -o wg0 -m mark ! --mark 0xca6c -m addrtype ! --dst-type LOCAL -j REJECT", "may drop"},
		{"-A FORWARD -m mark --mark 0x8000/0x8000 -j DROP", ""},
		{"-A FORWARD -m conntrack --ctstate INVALID -j DROP\n-A FORWARD -p tcp --tcp-flags ALL NONE -j DROP\n-A FORWARD -p tcp ! --syn -m conntrack --ctstate NEW -j DROP", ""},
		{"-A FORWARD -m addrtype --dst-type BROADCAST,MULTICAST -j DROP", ""},
		{"-A FORWARD -m limit --limit 10/s -j ACCEPT\n-A FORWARD -j DROP", "may drop"},
		{"-A FORWARD -j REJECT --reject-with icmp-host-prohibited", "drops"},
	} {
		n.Exec(t, "nft", "flush", "ruleset")
		feed(t, n, "*filter\n"+test.rules+"\nCOMMIT\n", "iptables-nft-restore")
		got := foreignWarnings(t, n)
		if test.want == "" && len(got) > 0 || test.want != "" && (len(got) != 1 || !strings.Contains(got[0], ") "+test.want+" new connections from eth0 to mape0 and the answers")) {
			t.Errorf("%s: %q", test.rules, got)
		}
	}
}

// TestForeignDiscovery: without what the line's router sends there is no IPv6, and so no tunnel.
func TestForeignDiscovery(t *testing.T) {
	t.Parallel()
	n := bystander(t)
	const rest = "iifname { lo, eth0, mape0 } accept; meta l4proto 4 accept; ct state established,related accept; "
	for rules, want := range map[string]string{
		"": "drops the line's router advertisements on eth1 and the line's neighbour discovery on eth1",
		"icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; ":                                                                         "drops the line's router advertisements on eth1",
		"ct state invalid drop; icmpv6 type { echo-request, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept; ": "",
		"iifname eth1 ip6 saddr fe80::/10 icmpv6 type nd-router-advert accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; ":   "",
		"ip6 nexthdr icmpv6 limit rate 5/second accept; ":                                                                                          "may drop the line's router advertisements on eth1 and the line's neighbour discovery on eth1",
	} {
		table(t, n, "chain c { type filter hook input priority 0; policy drop; "+rest+rules+"}")
		got := foreignWarnings(t, n)
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.Contains(got[0], "the policy "+want+"; to let")) {
			t.Errorf("%s: %q", rules, got)
		}
		for _, w := range got {
			obey(t, n, w)
		}
		if got = foreignWarnings(t, n); len(got) > 0 {
			t.Errorf("%s, after that: %q", rules, got)
		}
	}
}

// TestForeignOrder: what the LAN needs comes first, whatever the order of the chains and of the forwards.
func TestForeignOrder(t *testing.T) {
	t.Parallel()
	n := bystander(t)
	table(t, n, "chain a { type filter hook output priority 0; policy drop; } chain b { type filter hook forward priority 0; policy drop; }")
	p, f := foreignPaths(t, n)
	p.Forwards = []schema.Forward{{Protocol: "tcp", To: netip.MustParseAddrPort("192.168.1.20:80")}}
	var got []string
	for _, w := range warnings(p, f) {
		_, what, _ := strings.Cut(w, "the policy drops ")
		got = append(got, strings.Join(strings.Fields(what)[:4], " "))
	}
	want := []string{"new connections from eth0", "this machine's own connections", "the tunnel's packets to", "forwarded ports from mape0", "connections from eth0 to"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
