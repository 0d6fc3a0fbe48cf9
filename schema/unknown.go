package schema

import "slices"

func lookup(keys []key, name string) *key {
	for i := range keys {
		if keys[i].name == name {
			return &keys[i]
		}
	}
	return nil
}

// foreign are the words of OpenWrt, of the providers' own answers (HB46PP) and
// of their manuals, of routers, of Docker and of the kernel for what has
// another name here.
var foreign = map[string]string{
	"peeraddr": "br", "dmr": "br", "aftr": "br", "border-relay": "br",
	"ip6prefix": "ipv6", "ipv6-prefix": "ipv6", "ipaddr": "ipv4", "ipv4-prefix": "ipv4",
	"ealen": "ea-bits", "ea-len": "ea-bits", "ea-length": "ea-bits",
	"psidlen": "psid-len", "psid-length": "psid-len", "offset": "psid-offset",
	"interface": "wan", "uplink": "wan", "mode": "provider", "isp": "provider",

	"port-forward": "forwards", "port-forwards": "forwards", "port_forward": "forwards", "port_forwards": "forwards",
	"portforward": "forwards", "portforwards": "forwards", "port-forwarding": "forwards", "redirect": "forwards",
	"redirects": "forwards", "dnat": "forwards", "publish": "forwards",
	"dport": "port", "ports": "port", "external": "port", "external-port": "port", "src_port": "port", "src-port": "port",
	"src_dport": "port", "from": "port",
	"dest": "to", "dst": "to", "target": "to", "internal": "to", "destination": "to", "dest_ip": "to", "dest-ip": "to",
	"host": "to", "address": "to", "ip": "to",
	"proto": "protocol",

	"username": "user", "pass": "password", "host-name": "server", "url": "server", "hb46pp": "discover", "credentials": "discover",

	"timeouts": "conntrack", "timeout": "conntrack", "nf_conntrack": "conntrack",
	"established": "tcp-established", "nf_conntrack_tcp_timeout_established": "tcp-established",
	"transitory": "tcp-transitory", "time-wait": "tcp-time-wait", "nf_conntrack_tcp_timeout_time_wait": "tcp-time-wait",
	"udp-stream": "udp", "nf_conntrack_udp_timeout_stream": "udp", "nf_conntrack_max": "max",
}

// targetPorts are others' words for what has no key here.
var targetPorts = []string{"to-port", "to_port", "dest-port", "dest_port", "target-port", "internal-port", "internal_port"}

// foreignWords are others' words for those of an enumeration.
var foreignWords = map[string]string{
	"any": "both", "all": "both", "tcp+udp": "both", "udp+tcp": "both", "tcp/udp": "both", "tcpudp": "both",
	"tcp,udp": "both", "tcp, udp": "both", "tcp udp": "both", "tcp-udp": "both", "tcp_udp": "both", "tcp & udp": "both",
	"hb46pp": "discover", "v6mig": "discover", "v6mig-prov": "discover",
	"deny": "drop", "block": "drop", "reject": "drop", "allow": "accept", "pass": "accept", "open": "accept",
	"v6プラス": "v6plus", "v6 プラス": "v6plus", "jpne": "v6plus", "jpix": "v6plus",
	"slaac": "ra", "ndisc": "ra", "router-advertisement": "ra", "dhcp": "pd", "dhcpv6": "pd", "dhcp6": "pd", "dhcpv6-pd": "pd",
	"dhcp-pd": "pd", "ia_pd": "pd", "ia-pd": "pd", "delegation": "pd", "prefix-delegation": "pd", "delegated": "pd",
}

// A line of these is DS-Lite, or of one or another of the services that have
// rules.
const (
	dsLite  = "is DS-Lite and not MAP-E; DS-Lite is not supported yet"
	several = "is not known as such, for its lines are of several services; write auto, which tells them by the prefix"
)

// otherProviders are names that providers have without rules of their own.
var otherProviders = map[string]string{
	"transix": dsLite, "xpass": dsLite, "クロスパス": dsLite, "v6connect": dsLite, "v6コネクト": dsLite, "ds-lite": dsLite, "dslite": dsLite,
	"asahi": several, "asahi-net": several, "asahinet": several, "nifty": several, "@nifty": several, "so-net": several, "gmo": several,
}

// unknownKey says what is wrong with a key that is not in the table, and which
// one was meant, if any.
func unknownKey(word string, keys []key) (message, meant string) {
	var known []string
	for _, k := range keys {
		known = append(known, k.name)
	}
	guess := foreign[word]
	if lookup(keys, guess) == nil {
		guess = Nearest(word, known)
	}
	unknown := "unknown key " + quote(word)
	if guess != "" {
		return unknown + "; did you mean " + quote(guess) + "?", guess
	}
	if slices.Contains(targetPorts, word) && lookup(keys, "to") != nil {
		return unknown + `; write it after the address in "to", as in 192.168.1.10:22`, ""
	}
	var homes []string
	if lookup(new(Config).keys(), word) != nil {
		homes = append(homes, `directly in "mape"`)
	}
	if lookup(new(Rule).keys(), word) != nil {
		homes = append(homes, `in an entry of "rules"`)
	}
	if lookup(new(Softwire).keys(), word) != nil {
		homes = append(homes, `in "softwire"`)
	}
	if lookup(new(forward).keys(), word) != nil {
		homes = append(homes, `in an entry of "forwards"`)
	}
	if lookup(new(Discover).keys(), word) != nil {
		homes = append(homes, `in "discover"`)
	}
	if lookup(new(Conntrack).keys(), word) != nil {
		homes = append(homes, `in "conntrack", about idle connections`)
	}
	if homes != nil {
		return quote(word) + " does not belong here but " + list(homes, "or"), ""
	}
	return unknown + "; the keys here are " + list(known, "and"), ""
}
