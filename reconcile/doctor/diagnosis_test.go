package doctor_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/doctor"
	"mape-netplan/reconcile/doctor/symptom"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/firewall/ruleset"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/resource"
)

// TestDiagnose breaks the machine in each way.
func TestDiagnose(t *testing.T) {
	diagnose(t, []fault{
		{"healthy", func(*observed) {}, "", doctor.OK, "Nothing is wrong: packets leave … answers come back", "--probe"},
		{"never used", func(p *observed) { p.s.Tunnel.Total, p.s.Tunnel.Lately = symptom.Count{}, symptom.Count{} }, "", doctor.OK, "without sending", "--probe"},
		{"a broken netplan file", func(p *observed) {
			p.s.Broken = []string{"file /etc/netplan/70.yaml is not a netplan file, near line 2"}
			p.s.Links[1].Up = false
			p.noRouter()
		}, "netplan", doctor.Bad, "The file /etc/netplan/70.yaml is not a netplan file, near line 2, so that … Also: The WAN interface eth1 is switched off", "netplan generate … ip link set eth1 up"},
		{"a netplan file with an unknown key", func(p *observed) { p.s.Stops = "/etc/netplan/70.yaml, line 2" }, "netplan", doctor.Bad, "generator stops at /etc/netplan/70.yaml, line 2, so that netplan skips what is wrong at the next boot", "netplan generate"},
		{"a FIFO", func(p *observed) { p.s.Closed = []string{"/etc/systemd/network/zz.network: is not a regular file"} }, "netplan", doctor.Bad, "cannot read /etc/systemd/network/zz.network: is not a regular file: apply and install refuse", "move it away"},
		{"NetworkManager", func(p *observed) { p.bare(); p.f.Renderer = "NetworkManager" }, "netplan", doctor.Bad, "Netplan has NetworkManager configure whatever … needs systemd-networkd for it.",
			"Write \"renderer: networkd\" below \"network:\" … names NetworkManager. Then … netplan apply … mape-netplan install"},
		{"NetworkManager on the WAN", func(p *observed) { p.f.Definitions[1].Renderer = "NetworkManager" }, "netplan", doctor.Bad, "Netplan has NetworkManager configure eth1", "below eth1"},
		{"no netplan", func(p *observed) { p.f.Netplan, p.f.Definitions, p.f.Renderer = false, nil, "NetworkManager" }, "", doctor.OK, "Nothing is wrong", ""},
		{"no interface", func(p *observed) { p.section = "mape: {wan: eth9}" }, "link", doctor.Bad, "no interface of that name", "eth0, eth1"},
		{"switched off", func(p *observed) { p.s.Links[1].Up = false; p.noRouter() }, "link", doctor.Bad, "eth1 is switched off", "ip link set eth1 up"},
		{"no link", func(p *observed) { p.s.Links[1].Carrier = false; p.noRouter() }, "link", doctor.Bad, "eth1 has no link", "cable"},
		{"no link, first run", func(p *observed) {
			p.s.Links[1].Carrier, p.f.Owned, p.s.Tunnel = false, facts.Owned{}, nil
			p.noRouter()
		}, "link", doctor.Bad, "eth1 has no link", "Proxmox"},
		{"no RA", (*observed).noRouter, "router", doctor.Bad, "No router advertisement … eth1", "tcpdump -ni eth1 icmp6"},
		{"RA elsewhere", func(p *observed) {
			p.noRouter()
			p.f.Links[0].Default6 = new(int)
			p.s.Routers = []symptom.Router{{Link: "eth0", RA: true}}
		}, "router", doctor.Bad, "arrived on eth0 instead", "write \"wan: eth0\" … tcpdump"},
		{"WAN and LAN swapped", func(p *observed) {
			p.section = "mape: {wan: eth0, lan: eth1}"
			p.s.Links[0].Networkd = "no"
		}, "router", doctor.Bad, "on eth0 (one has arrived on eth1 instead)", "write \"wan: eth1\" and the LAN's"},
		{"WAN and LAN swapped, no IPv6 on the LAN", func(p *observed) {
			p.noRouter()
			p.section = "mape: {wan: eth0, lan: eth1}"
			p.s.Links[0].Disabled, p.s.Links[0].LinkLocal, p.s.Forward = true, false, true
			p.s.Heard = []symptom.Router{{Link: "eth1", Via: netip.MustParseAddr("fe80::1"), RA: true}}
		}, "router", doctor.Bad, "on eth0 (one has arrived on eth1 instead)", "write \"wan: eth1\" and the LAN's"},
		{"no RA on any", func(p *observed) {
			p.noRouter()
			p.f.Owned, p.s.Tunnel = facts.Owned{}, nil
			p.f.Links = append(p.f.Links[:2:2], kernel.Link{Name: "eth2", Index: 5})
			p.s.Links[2] = symptom.Link{Name: "eth2", Up: true, Carrier: true}
		}, "router", doctor.Bad, "any of eth1, eth2", "ip link set eth1 down; sudo ip link set eth1 up; sudo ip link set eth2 down"},
		{"no interface at all", func(p *observed) { p.section, p.f.Links = "mape: {wan: eth9}", nil }, "link", doctor.Bad, "no interface of that name", "(there are: none)"},
		{"RA on two", func(p *observed) {
			p.f.Owned, p.f.Links[0].Default6 = facts.Owned{}, new(int)
			p.s.Routers = append(p.s.Routers, symptom.Router{Link: "eth0", RA: true})
		}, "router", doctor.Bad, "eth0 and eth1 both have an IPv6 default route", "wan:"},
		{"router died", func(p *observed) { p.s.Routers[0].Silent = true }, "router", doctor.Bad, "fe80::1 has announced itself … does not answer", "restart"},
		{"a wrong fixed route", func(p *observed) { p.s.Routers[0].RA, p.s.Routers[0].Silent = false, true }, "router", doctor.Bad, "The fixed IPv6 default route of eth1 points to fe80::1, which does not answer", "accept router advertisements"},
		{"WAN and LAN swapped, a fixed route", func(p *observed) {
			p.section = "mape: {wan: eth0, lan: eth1}"
			p.s.Links[0].Networkd, p.s.Routers[0].RA = "no", false
		}, "router", doctor.Bad, "on eth0 (eth1 has a fixed route to fe80::1 instead)", "write \"wan: eth1\" and the LAN's"},
		{"forwarding, networkd", func(p *observed) { p.noRouter(); p.s.Forward = true }, "router", doctor.Bad, "IPv6 forwarding is on … accept_ra=2", "accept-ra: true"},
		{"forwarding, told", func(p *observed) { p.s.Forward, p.s.Links[1].Networkd = true, "yes" }, "", doctor.OK, "Nothing is wrong", ""},
		{"forwarding, and accepted", func(p *observed) { p.s.Forward = true }, "", doctor.OK, "Nothing is wrong", ""},
		{"forwarding, kernel", func(p *observed) {
			p.noRouter()
			p.wan().NetworkFile = ""
			p.s.Links[1].Forward, p.s.Links[1].AcceptRA = "1", "1"
		}, "router", doctor.Bad, "IPv6 forwarding is on … with accept_ra=2", "sysctl -w net.ipv6.conf.eth1.accept_ra=2"},
		{"forwarding, kernel, not yet", func(p *observed) {
			p.wan().NetworkFile = ""
			p.s.Links[1].Forward, p.s.Links[1].AcceptRA = "1", "1"
		}, "router", doctor.Warn, "IPv6 forwarding is on", "accept_ra=2"},
		{"RA refused", func(p *observed) { p.noRouter(); p.s.Links[1].Networkd = "no" }, "router", doctor.Bad, "configured to ignore router advertisements", "accept-ra: true"},
		{"no link-local address, netplan", func(p *observed) {
			p.noRouter()
			p.s.Links[1].LinkLocal, p.s.Links[1].NoLinkLocal = false, "no"
		}, "router", doctor.Bad, "eth1 has no IPv6 link-local address, and so gets no router advertisements: its netplan file says so", "\"link-local: [ipv6]\""},
		{"no link-local address, networkd", func(p *observed) {
			p.noRouter()
			p.s.Links[1].LinkLocal, p.s.Links[1].NoLinkLocal, p.f.Netplan = false, "ipv4", false
		}, "router", doctor.Bad, "LinkLocalAddressing=ipv4", "LinkLocalAddressing=ipv6 … networkctl reload"},
		{"no link-local address", func(p *observed) { p.noRouter(); p.s.Links[1].LinkLocal = false }, "router", doctor.Bad, "has no IPv6 link-local address", "addrgenmode eui64"},
		{"another's link-local address", func(p *observed) {
			p.noRouter()
			p.s.Links[1].LinkLocal, p.s.Links[1].Duplicate = false, true
		}, "router", doctor.Bad, "Another host on the line has the link-local address of eth1 … MAC address", "another MAC address"},
		{"ifupdown", func(p *observed) {
			p.bare()
			p.f.Definitions, p.f.Links[1].NetworkFile, p.f.Managers = nil, "", map[string]string{"eth1": facts.Ifupdown}
		}, "networkd", doctor.Bad, "Ifupdown configures eth1, and a gateway needs systemd-networkd for it", "enable --now systemd-networkd\". Then run"},
		{"networkd does not run", func(p *observed) { p.f.Networkd = false; p.noRouter() }, "networkd", doctor.Bad, "Systemd-networkd does not run", "enable --now systemd-networkd"},
		{"RA heard elsewhere", func(p *observed) {
			p.noRouter()
			p.section = "mape: {wan: eth1, lan: eth0}"
			p.s.Heard = []symptom.Router{{Link: "eth0", Via: netip.MustParseAddr("fe80::9"), RA: true}}
		}, "router", doctor.Bad, "on eth1 (one has arrived on eth0 instead)", "If the line is at eth0, write \"wan: eth0\""},
		{"RA dropped", func(p *observed) {
			p.noRouter()
			p.f.Foreign.Chains = []ruleset.Chain{{Family: "ip6", Table: "filter", Name: "INPUT", Type: "filter", Hook: "input", Drop: true}}
		}, "router", doctor.Bad, "Another firewall … the policy drops the line's router advertisements on eth1", "ip6tables -I INPUT -i eth1 -p 58 -j ACCEPT"},
		{"DHCPv6 dropped", func(p *observed) {
			p.section, p.f.Owned.Requesting = "mape: {wan-prefix: pd}", []string{"eth1"}
			p.f.Foreign.Chains = []ruleset.Chain{{Family: "ip6", Table: "t", Name: "c", Type: "filter", Hook: "input", Drop: true}}
		}, "address", doctor.Bad, "the line's DHCPv6 answers on eth1", "udp dport 546"},
		{"no IPv6", func(p *observed) { p.noRouter(); p.s.Links[1].Disabled = true }, "router", doctor.Bad, "IPv6 is switched off", "disable_ipv6=0"},
		{"only link-local", func(p *observed) { p.wan().Addresses, p.s.Relay = p.wan().Addresses[:1], nil }, "address", doctor.Bad, "gives no prefix … only its link-local address", "wan-prefix: pd"},
		{"only link-local, a fixed route", func(p *observed) {
			p.wan().Addresses, p.s.Relay, p.s.Routers[0].RA = p.wan().Addresses[:1], nil, false
		}, "address", doctor.Bad, "The router of eth1, fe80::1, is known by a fixed route … only its link-local address", "wan-prefix: pd"},
		{"a stray router, first run", func(p *observed) {
			p.bare()
			ra, stray := 1024, 512
			p.f.Links[1].Default6, p.f.Links[0].Default6 = &ra, &stray
			p.s.Routers, p.s.Relay = append(p.s.Routers, symptom.Router{Link: "eth0", Via: netip.MustParseAddr("fe80::2")}), nil
		}, "address", doctor.Bad, "The line is at eth1, which has 2400:4050:5c71:af00::/64, and a rule of ocn covers that; eth0, which is taken for the WAN by its IPv6 default route, has only its link-local address.",
			"Write \"wan: eth1\" into the section. And remove the IPv6 default route of eth0"},
		{"a stray router", func(p *observed) {
			ra, stray := 1024, 512
			p.f.Links[1].Default6, p.f.Links[0].Default6 = &ra, &stray
		}, "address", doctor.Bad, "The line is at eth1 … eth0, which is taken for the WAN", "Write \"wan: eth1\""},
		{"the wrong WAN, with a router", func(p *observed) {
			p.section = "mape: {wan: eth0, lan: eth1}"
			p.s.Routers, p.s.Relay = append(p.s.Routers, symptom.Router{Link: "eth0", Via: netip.MustParseAddr("fe80::2"), RA: true}), nil
		}, "address", doctor.Bad, "The line is at eth1 … eth0, which is taken for it", "Write \"wan: eth1\" and the LAN's own interface"},
		{"a unique local address", func(p *observed) {
			p.wan().Addresses, p.s.Relay = append(p.wan().Addresses[:1:1], kernel.Inet{Prefix: netip.MustParsePrefix("fd00:1::1/64")}), nil
		}, "address", doctor.Bad, "gives no prefix: eth1 has fd00:1::1/64, which is a unique local address.", "wan-prefix: pd"},
		{"in no rule", func(p *observed) {
			p.wan().Addresses, p.s.Relay = []kernel.Inet{{Prefix: netip.MustParsePrefix("240b:14::5/64")}}, nil
		}, "rule", doctor.Bad, "in no rule … v6plus … 240b:1", "rules and br"},
		{"DS-Lite", func(p *observed) {
			p.section = "mape: {provider: ocn}"
			p.wan().Addresses, p.s.Relay = []kernel.Inet{{Prefix: netip.MustParsePrefix("2409:10::5/64")}}, nil
		}, "rule", doctor.Bad, "in no rule … transix … DS-Lite", "provider: auto"},
		{"another provider's", func(p *observed) { p.section, p.s.Relay = "mape: {provider: nuro}", nil }, "rule", doctor.Bad, "in no rule that the section means … but one of ocn", "compute"},
		{"a later /60, first run", func(p *observed) {
			p.wan().Addresses[1].Prefix = netip.MustParsePrefix("2400:4050:5c71:af10::5/64")
			p.s.Tunnel, p.f.Owned, p.f.Links = nil, facts.Owned{}, p.f.Links[:2]
		}, "rule", doctor.Bad, "a part, not the first … /56", "own LAN"},
		{"section", func(p *observed) {
			p.section = "mape: {prefix: \"2400:4050:5c71::/48\"}"
		}, "rule", doctor.Bad, "mape.prefix", "validate"},
		{"a later /60, works", func(p *observed) {
			p.wan().Addresses[1].Prefix = netip.MustParsePrefix("2400:4050:5c71:af10::5/64")
		}, "rule", doctor.Warn, "2400:4050:5c71:af10::/64 is a part, not the first … /56 … home gateway", "own LAN"},
		{"a later /60, silent", func(p *observed) {
			p.wan().Addresses[1].Prefix = netip.MustParsePrefix("2400:4050:5c71:af10::5/64")
			p.s.Tunnel.Total, p.s.Tunnel.Lately = symptom.Count{RX: 0, TX: 100}, symptom.Count{RX: 0, TX: 9}
		}, "rule", doctor.Bad, "a part, not the first … /56", "own LAN"},
		{"home gateway", func(p *observed) { p.s.Home = symptom.Home{Address: netip.MustParseAddr("192.168.1.1"), Status: "ON"} }, "home gateway", doctor.Bad, "home gateway … does IPv4 over IPv6", "Switch it off"},
		{"home gateway off", func(p *observed) { p.s.Home = symptom.Home{Address: netip.MustParseAddr("192.168.1.1"), Status: "OFF"} }, "", doctor.OK, "Nothing", ""},
		{"duplicate", func(p *observed) {
			p.duplicate()
		}, "CE address", doctor.Bad, "Another router … already has the CE address", "Switch off the other"},
		{"a CE address that is being checked", func(p *observed) {
			p.duplicate()
			p.s.Differences[0].Detection = resource.Tentative
		}, "CE address", doctor.Warn, "still running", "few seconds"},
		{"a CE address that only reads like a duplicate", func(p *observed) { p.differs("address "+ceText+" dev eth1", "dadfailed tentative") }, "CE address", doctor.Warn, "is not what apply makes it", "apply"},
		{"the CE address of another link", func(p *observed) { p.differs("address "+ceText+" dev eth10", "") }, "settings", doctor.Warn, "is not as it should be", "apply"},
		{"no CE address", func(p *observed) { p.differs("address "+ceText+" dev eth1", "") }, "CE address", doctor.Bad, "CE address … is missing", "apply"},
		{"no tunnel, perhaps no module", func(p *observed) { p.s.Tunnel = nil }, "tunnel", doctor.Bad, "tunnel mape0 is missing", "modprobe ip6_tunnel"},
		{"a delegation", func(p *observed) { p.section, p.f.Owned.Requesting = "mape: {wan-prefix: pd}", []string{"eth1"} }, "address", doctor.Bad, "has delegated no prefix to eth1", "one router only"},
		{"a delegation, first run", func(p *observed) { p.section, p.f.Owned, p.s.Tunnel = "mape: {wan-prefix: pd}", facts.Owned{}, nil }, "address", doctor.Bad, "nothing on this machine asks", "apply"},
		{"a delegation, nothing yet", func(p *observed) { p.bare(); p.section = "mape: {wan-prefix: pd}" }, "address", doctor.Bad, "nothing on this machine asks", "mape-netplan install"},
		{"discover, first run", func(p *observed) {
			p.section, p.f.Owned, p.s.Tunnel = "mape: {provider: discover}", facts.Owned{}, nil
		}, "rule", doctor.Bad, "The section is right, and nothing has asked the line", "apply"},
		{"discover, no answer", func(p *observed) {
			p.section, p.f.Discovered = "mape: {provider: discover}", &discovery.Discovery{Problem: "vne.example.jp does not answer"}
		}, "rule", doctor.Bad, "none to use: … vne.example.jp does not answer", "asks it again"},
		{"discover, a wrong clock", func(p *observed) {
			p.section, p.f.Discovered = "mape: {provider: discover}", &discovery.Discovery{Problem: "vne.example.jp: x509: certificate is not yet valid"}
			p.s.Clock.Now = time.Unix(1000, 0)
		}, "rule", doctor.Bad, "clock is wrong … none to use: … not yet valid", "timedatectl … asks it again"},
		{"two firewalls", func(p *observed) {
			p.f.Foreign.Chains = []ruleset.Chain{
				{Family: "inet", Table: "a", Name: "out", Type: "filter", Hook: "output", Drop: true},
				{Family: "inet", Table: "b", Name: "fwd", Type: "filter", Hook: "forward", Drop: true},
			}
			p.f.Foreign.Legacy = []string{"filter"}
			p.section = "mape: {forwards: [{port: 4860, to: 192.168.1.20:80}]}"
		}, "other firewalls", doctor.Bad, "table inet b, chain fwd: the policy drops new connections from eth0 … table inet a, chain out … forwarded ports … may be in the way: iptables-legacy",
			"inet b fwd iifname eth0 oifname mape0 accept … inet b fwd iifname mape0 oifname eth0 ct state … inet a out oifname mape0 … ct status dnat … Else see"},
		{"another line's prefix", func(p *observed) { p.section = "mape: {prefix: \"2400:4050:5c72:af00::/56\"}" }, "address", doctor.Bad, "says that the line's prefix is 2400:4050:5c72:af00::/56, and eth1 has 2400:4050:5c71:af00::/64", "prefix:"},
		{"the line's prefix", func(p *observed) { p.section = "mape: {prefix: \"2400:4050:5c71:af00::/56\"}" }, "", doctor.OK, "Nothing is wrong", ""},
		{"a prefix, and no address", func(p *observed) {
			p.section = "mape: {prefix: \"2400:4050:5c71:af00::/56\"}"
			p.wan().Addresses = p.wan().Addresses[:1]
		}, "address", doctor.Warn, "has no global IPv6 address that would show it", "line"},
		{"does not fit", func(p *observed) {
			p.f.Definitions = append(p.f.Definitions, netplan.Definition{Section: "tunnels", ID: "mape0"})
		}, "rule", doctor.Bad, "does not fit this machine … another netplan file defines the tunnel mape0", "plan"},
		{"a LAN that is not there", func(p *observed) { p.section = "mape:\n  lan: eth7" }, "rule", doctor.Bad, "does not fit this machine: the section's mape.lan: there is no interface eth7; there are: eth0, eth1, mape0.", "plan"},
		{"probed, no port", func(p *observed) {
			p.busiest(443, 1008)
			p.s.Tunnel.Lately, p.s.Probe = symptom.Count{}, &symptom.Probe{Answers: []symptom.Answer{{Protocol: "icmp", To: "1.1.1.1", Error: "no answer"}}}
		}, "ports", doctor.Bad, "port set is exhausted", ""},
		{"no route to the relay", func(p *observed) { p.s.Relay = &kernel.Path{Error: "network is unreachable"} }, "border relay", doctor.Bad, "border relay … is unreachable", "ip -6 route get " + brText},
		{"relay elsewhere", func(p *observed) { p.s.Relay.Link = "wg0" }, "border relay", doctor.Bad, "leave through wg0", "VPN"},
		{"no tunnel", func(p *observed) { p.s.Tunnel, p.s.Module = nil, "yes" }, "tunnel", doctor.Bad, "tunnel mape0 is missing", "apply"},
		{"no tunnel, no module", func(p *observed) { p.s.Tunnel, p.s.Module = nil, "no" }, "tunnel", doctor.Bad, "no module ip6_tunnel", "modprobe"},
		{"header", func(p *observed) {
			p.s.Tunnel.EncapLimit, p.s.Tunnel.Lately = 4, symptom.Count{RX: 0, TX: 12}
			p.differs("tunnel mape0", "encaplimit 4")
		}, "tunnel", doctor.Bad, "destination options header … 12 packets have left", "apply"},
		{"tunnel down", func(p *observed) { p.s.Tunnel.Up = false; p.differs("tunnel mape0", "state down") }, "tunnel", doctor.Bad, "switched off", "apply"},
		{"old line", func(p *observed) {
			p.s.Tunnel.Local = netip.MustParseAddr("2400:4050::1")
			p.differs("tunnel mape0", "local 2400:4050::1")
		}, "tunnel", doctor.Bad, "prefix has changed", "apply"},
		{"strict filter", func(p *observed) { p.s.Tunnel.Filter = "1" }, "tunnel", doctor.Bad, "rp_filter is strict", "apply"},
		{"black hole", func(p *observed) { p.s.Probe = &symptom.Probe{Largest: 1404} }, "MTU", doctor.Bad, "1404 bytes get lost … black hole", "mtu: 1404"},
		{"narrow, and said so", func(p *observed) {
			p.s.Probe = &symptom.Probe{Largest: 1404, Refused: true, Answers: []symptom.Answer{{Protocol: "icmp", To: "1.1.1.1", OK: true, Took: time.Millisecond}}}
		}, "", doctor.OK, "servers on the internet answer", "nothing to do"},
		{"MTU too large", func(p *observed) { p.s.Tunnel.MTU = 1500 }, "MTU", doctor.Warn, "more than fits through eth1", "mtu: 1460"},
		{"narrow IPv6", func(p *observed) { p.s.Relay.MTU = 1454 }, "MTU", doctor.Warn, "carries only 1454", "mtu: 1414"},
		{"no forwarding", func(p *observed) { p.differs("sysctl net/ipv4/ip_forward", "0\n") }, "route", doctor.Bad, "does not forward IPv4", "apply"},
		{"another default route", func(p *observed) { p.f.Links[0].Default4 = new(int) }, "route", doctor.Bad, "Another IPv4 default route wins … eth0", "ip -4 route"},
		{"a default route to nowhere", func(p *observed) { p.f.Nowhere4 = "unreachable" }, "route", doctor.Bad, "unreachable default … drops the packets", "remove … unreachable default"},
		{"half of the internet", func(p *observed) { p.leads(1, "tun0", "128.0.0.0/1", 254) }, "route", doctor.Bad, "takes precedence … packets to 198.41.0.4 leave by tun0", "route to 128.0.0.0/1 … pull-filter"},
		{"a rule", func(p *observed) { p.leads(0, "wg0", "0.0.0.0/0", 51820) }, "route", doctor.Bad, "takes precedence … leave by wg0", "ip -4 rule … table 51820"},
		{"a route of one host", func(p *observed) { p.leads(0, "eth0", "1.1.1.1/32", 254) }, "", doctor.OK, "Nothing is wrong", ""},
		{"no way", func(p *observed) { p.s.Internet[0].Error = "no route to host" }, "route", doctor.Bad, "takes precedence … are dropped (no route to host)", "blackhole"},
		{"no default route", func(p *observed) {
			p.differs("route default dev mape0", "")
			p.s.Internet[0] = kernel.Path{To: facts.InternetAddresses[0], Error: "network is unreachable"}
		}, "route", doctor.Bad, "no IPv4 default route", "apply"},
		{"no table", func(p *observed) { p.differs("table ip mape", "") }, "NAT", doctor.Bad, "table ip mape is missing", "nftables.service"},
		{"no table, no service", func(p *observed) {
			p.differs("table ip mape", "")
			p.s.Units[0].File, p.s.Units[0].Enabled = false, false
		}, "NAT", doctor.Bad, "table ip mape is missing", "mape-netplan install … Nothing but its service"},
		{"no table, dead service", func(p *observed) {
			p.differs("table ip mape", "")
			p.s.Units[1].Active = "failed"
		}, "NAT", doctor.Bad, "table ip mape is missing", "sudo systemctl restart mape-netplan.service"},
		{"another table", func(p *observed) { p.differs("table ip mape", "table") }, "NAT", doctor.Bad, "has changed the nftables table", "apply"},
		{"legacy", func(p *observed) { p.f.Foreign.Legacy = []string{"filter"} }, "other firewalls", doctor.Warn, "iptables-legacy", "mape0"},
		{"silent", func(p *observed) { p.s.Tunnel.Lately = symptom.Count{RX: 0, TX: 9} }, "return traffic", doctor.Bad, "border relay " + brText + " is silent", "compute"},
		{"always silent", func(p *observed) { p.s.Tunnel.Total, p.s.Tunnel.Lately = symptom.Count{RX: 0, TX: 9}, symptom.Count{} }, "return traffic", doctor.Bad, "is silent", "contract"},
		{"few", func(p *observed) {
			p.s.Tunnel.Total, p.s.Tunnel.Lately = symptom.Count{RX: 0, TX: 2}, symptom.Count{RX: 0, TX: 2}
		}, "", doctor.OK, "without sending", ""},
		{"probed, silent", func(p *observed) {
			p.s.Tunnel.Lately, p.s.Probe = symptom.Count{RX: 0, TX: 3}, &symptom.Probe{Answers: []symptom.Answer{{Protocol: "icmp", To: "1.1.1.1", Error: "no answer"}}}
		}, "return traffic", doctor.Bad, "is silent", "contract"},
		{"probed, one is silent", func(p *observed) {
			p.s.Probe = &symptom.Probe{Largest: 1460, Answers: []symptom.Answer{{Protocol: "icmp", To: "1.1.1.1", OK: true, Took: 1}, {Protocol: "tcp", To: "1.1.1.1:53", Error: "no answer"}}}
		}, "return traffic", doctor.Warn, "do not answer: tcp 1.1.1.1:53", "probe:"},
		{"exhausted", func(p *observed) { p.busiest(443, 1005) }, "ports", doctor.Bad, "port set is exhausted … 203.0.113.9:443 … 192.168.1.10 has 990", "limit"},
		{"nearly", func(p *observed) { p.busiest(443, 900) }, "ports", doctor.Warn, "nearly exhausted", "mape-netplan ports"},
		{"DNS", func(p *observed) { p.busiest(53, 400) }, "DNS", doctor.Warn, "DNS over IPv4 … 203.0.113.9:53 … 192.168.1.10", "IPv6"},
		{"DNS, all", func(p *observed) { p.busiest(53, 1008) }, "DNS", doctor.Bad, "DNS over IPv4 uses up the ports", "IPv6"},
		{"connections", func(p *observed) { p.s.Tracked = symptom.Tracked{Count: 65000, Max: 65536} }, "ports", doctor.Bad, "table of connections is full", "max: 131072"},
		{"RA on the LAN", func(p *observed) {
			p.s.Routers = append(p.s.Routers, symptom.Router{Link: "eth0", Via: netip.MustParseAddr("fe80::2"), RA: true})
		}, "LAN", doctor.Bad, "router advertisement on the LAN (eth0)", "refuses advertisements"},
		{"RA accepted on the LAN", func(p *observed) {
			p.f.Links[0].NetworkFile = ""
			p.s.Links[0].AcceptRA = "1"
		}, "LAN", doctor.Warn, "Router advertisements are accepted on the LAN (eth0)", "accept_ra=0"},
		{"a LAN that is not forwarded", func(p *observed) { p.s.Links[0].Unforwarded = true }, "LAN", doctor.Bad, "forwards no IPv4 packet that arrives by eth0", "sysctl -w net.ipv4.conf.eth0.forwarding=1"},
		{"no LAN link", func(p *observed) { p.s.Links[0].Carrier = false }, "LAN", doctor.Warn, "LAN interface eth0 has no link", "cable"},
		{"no LAN wanted", func(p *observed) { p.section, p.f.Links[0].Addresses = "mape: {lan: []}", nil }, "", doctor.OK, "Nothing is wrong", ""},
		{"no LAN", func(p *observed) { p.f.Links[0].Addresses = nil }, "LAN", doctor.Warn, "there is no LAN", "lan:"},
		{"1970", func(p *observed) { p.s.Clock.Now = time.Unix(1000, 0) }, "clock", doctor.Bad, "clock is wrong (1970-01-01 … TLS", "timedatectl"},
		{"2099", func(p *observed) { p.s.Clock.Now = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC) }, "clock", doctor.Bad, "decades after", "timedatectl"},
		{"a server's time", func(p *observed) { p.s.Clock.Server = p.s.Clock.Now.AddDate(0, 0, 3) }, "clock", doctor.Bad, "clock is wrong … a server on the internet says", "timedatectl"},
		{"the hardware's time", func(p *observed) { p.s.Clock.Hardware = p.s.Clock.Now.AddDate(1, 0, 0) }, "clock", doctor.Warn, "hardware clock", "timedatectl"},
		{"a file", func(p *observed) { p.differs("file /etc/netplan/99-ipoe-gw.yaml", "") }, "settings", doctor.Warn, "is not as it should be … at the next boot: file", "apply"},
		{"another's file", func(p *observed) {
			p.s.Differences = []symptom.Difference{{Name: "file /etc/sysctl.d/99-mape-gw.conf", Error: "was not written by mape-netplan; move it away first"}}
		}, "settings", doctor.Bad, "refuses: file /etc/sysctl.d/99-mape-gw.conf", "Fix that"},
		{"a warning of plan", func(p *observed) {
			metric := 100
			p.f.Links[0].Default4 = &metric
		}, "warnings", doctor.Warn, "eth0 has an IPv4 default route too, of metric 100", "plan"},
		{"not installed", func(p *observed) {
			p.s.Units = []cloudinit.State{{Name: cloudinit.GuardUnit}, {Name: cloudinit.WatchUnit}}
		}, "service", doctor.Warn, "not installed … after a boot the tunnel comes up without NAT", "mape-netplan install"},
		{"not installed, run from /tmp", func(p *observed) {
			p.s.Units = []cloudinit.State{{Name: cloudinit.GuardUnit}, {Name: cloudinit.WatchUnit}}
			p.s.Refusal = "the units could not run /tmp/mape-netplan: they see nothing below /tmp; install it first"
		}, "service", doctor.Warn, "not installed", "Install would refuse now: the units could not run /tmp/mape-netplan … After that run \"sudo mape-netplan install\"."},
		{"not enabled", func(p *observed) { p.s.Units[0].Enabled = false }, "service", doctor.Warn, "mape-netplan-guard.service does not start at the next boot", "mape-netplan install"},
		{"half installed", func(p *observed) { p.s.Units[1].File = false }, "service", doctor.Warn, "mape-netplan.service is missing", "mape-netplan install"},
		{"dead", func(p *observed) { p.s.Units[1].Active = "failed" }, "service", doctor.Warn, "mape-netplan.service does not run (failed)", "restart mape-netplan.service"},
		{"changed", func(p *observed) { p.s.Units[1].Changed = true }, "service", doctor.Warn, "The file of the unit mape-netplan.service was changed", "mape-netplan install … systemctl edit mape-netplan.service"},
		{"in an image", func(p *observed) { p.s.Units[0].Active, p.s.Units[1].Active = "", "" }, "", doctor.OK, "Nothing is wrong", ""},
	})
}

// TestCauseFirst: of several things that are wrong the first is the diagnosis, and the rest is skipped.
func TestCauseFirst(t *testing.T) {
	p := healthy()
	p.s.Clock.Now = time.Unix(0, 0)
	p.differs("table ip mape", "")
	p.s.Links[1].Carrier = false
	r := p.report(t)
	i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.State == doctor.Bad })
	if !says(r.Diagnosis, "has no link") || r.Findings[i].Check != "link" {
		t.Error(r.Diagnosis)
	}
	for _, f := range r.Findings[i+1:] {
		if f.State != doctor.Skipped {
			t.Errorf("%s is %s", f.Check, f.State)
		}
	}
}

// TestCauses: a file that cannot be read hides no flushed table, nor the other way round, and the text has both.
func TestCauses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		make              func(*observed)
		diagnosis, advice string
	}{
		{func(p *observed) { p.s.Unreadable = []string{"/etc/netplan/70-home.yaml"} },
			"table ip mape is missing … Also: The service cannot read /etc/netplan/70-home.yaml", "mape-netplan apply … chown root:root /etc/netplan/70-home.yaml"},
		{func(p *observed) { p.s.Broken = []string{"file /etc/netplan/70.yaml is not a netplan file"} },
			"The file /etc/netplan/70.yaml is not a netplan file … Also: The nftables table ip mape is missing", "netplan generate … mape-netplan apply"},
		{func(p *observed) { p.s.Closed = []string{"/etc/netplan: permission denied"} },
			"cannot read /etc/netplan: permission denied … Also: The nftables table ip mape is missing", "readable … mape-netplan apply"},
	} {
		p := healthy()
		p.differs("table ip mape", "")
		test.make(p)
		r := p.report(t)
		if !says(r.Diagnosis, test.diagnosis) || !says(r.Advice, test.advice) || r.OK {
			t.Errorf("%s\n%s", r.Diagnosis, r.Advice)
		}
		if text := r.Text(); !says(text, "netplan: … NAT: table ip mape is missing\n-    what comes after it is skipped: NAT must pass first\n\nDiagnosis: ") {
			t.Error(text)
		}
	}
}

// TestSymptomsAreData: what marshals comes back the same, so that a diagnosis can be made elsewhere.
func TestSymptomsAreData(t *testing.T) {
	p := healthy()
	data, err := json.Marshal(p.s)
	if err != nil {
		t.Fatal(err)
	}
	var back symptom.Symptoms
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	again := *p
	again.s = back
	if a, b := p.report(t).Findings, again.report(t).Findings; !reflect.DeepEqual(a, b) {
		t.Errorf("%+v\n%+v", a, b)
	}
}
