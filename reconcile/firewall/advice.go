package firewall

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/firewall/ruleset"
	"mape-netplan/reconcile/kernel"
)

func chainText(c ruleset.Chain) string {
	return fmt.Sprintf("table %s %s, chain %s", c.Family, c.Table, c.Name)
}

// mostDetails is how many forwards a warning names.
const mostDetails = 4

// dropWarning names the rule that drops packets, the packets, and what lets them through.
func (f Foreign) dropWarning(c ruleset.Chain, flow flow, drops []drop, sure bool) Obstacle {
	var what, let []string
	of := map[string][]string{}
	verb, d := "drops", drops[0]
	if !sure {
		verb = "may drop"
	}
	for _, e := range drops {
		if !slices.Contains(what, e.packet.what) {
			what = append(what, e.packet.what)
		}
		if with := of[e.packet.what]; e.packet.detail != "" && !slices.Contains(with, e.packet.detail) {
			of[e.packet.what] = append(with, e.packet.detail)
		}
		if r := f.command(c, flow, e); !slices.Contains(let, r) {
			let = append(let, r)
		}
	}
	for i, w := range what {
		if with := of[w]; len(with) > mostDetails {
			what[i] += fmt.Sprintf(" (%s and %d more)", strings.Join(with[:mostDetails], ", "), len(with)-mostDetails)
		} else if len(with) > 0 {
			what[i] += " (" + strings.Join(with, ", ") + ")"
		}
	}
	by := "the policy"
	if d.rule != nil {
		by = fmt.Sprintf("rule handle %d (%s)", d.rule.Handle, ruleText(*d.rule))
	}
	in := ""
	if d.in != nil && d.in.Name != c.Name {
		in = ", by chain " + d.in.Name
	}
	advice := strings.Join(let, "; ")
	if slices.ContainsFunc(let, temporary) {
		advice += " (until the next boot)"
	}
	return Obstacle{What: fmt.Sprintf("%s%s: %s %s %s%s", chainText(c), in, by, verb, strings.Join(what, " and "), flow.note), Advice: "to let that through: " + advice, Sure: sure}
}

// temporary reports whether the effect of a command ends at the next boot.
func temporary(command string) bool {
	program, _, _ := strings.Cut(command, " ")
	return program == "nft" || program == "iptables" || program == "ip6tables"
}

// command lets a dropped packet through, by the program that the chain belongs to where that is known.
func (f Foreign) command(c ruleset.Chain, flow flow, d drop) string {
	p := d.packet
	beside := func(begin string) bool {
		return slices.ContainsFunc(f.Chains, func(o ruleset.Chain) bool {
			return o.Family == c.Family && o.Table == c.Table && strings.HasPrefix(o.Name, begin)
		})
	}
	forward := c.Hook == "forward"
	switch {
	case c.Table == "docker-bridges" && p.dnat && d.rule != nil:
		return "publish the port with Docker too (docker run -p)"
	case c.Table == "docker-bridges":
		return `set "ip-forward-no-drop": true in /etc/docker/daemon.json and restart Docker`
	case c.Table == "firewalld" && forward && !p.anyIn && !p.anyOut:
		lan := p.in.Name
		if lan == flow.tunnel {
			lan = p.out.Name
		}
		return fmt.Sprintf("firewall-cmd --permanent --zone=trusted --change-interface=%s && firewall-cmd --reload, or a firewalld policy that accepts what its zone sends", lan)
	case beside("DOCKER-USER") && forward:
		return "iptables -I DOCKER-USER" + iptablesWords.rule(p)
	case beside("ufw-") && forward && p.state == isNew:
		if p.anyIn {
			return "ufw route allow out on " + p.out.Name
		}
		return fmt.Sprintf("ufw route allow in on %s out on %s", p.in.Name, p.out.Name)
	case beside("ufw-") && p.dnat && p.local:
		ports := fmt.Sprint(p.dports.First)
		if p.dports.Last > p.dports.First {
			ports += fmt.Sprintf(":%d", p.dports.Last)
		}
		return fmt.Sprintf("ufw allow in on %s to any port %s proto %s", p.in.Name, ports, foreignProtocols[uint32(p.proto)])
	case c.Table == "filter" && c.Name == strings.ToUpper(c.Hook) && c.Family != "inet":
		return map[string]string{"ip": "iptables", "ip6": "ip6tables"}[c.Family] + " -I " + c.Name + iptablesWords.rule(p)
	}
	return fmt.Sprintf("nft insert rule %s %s %s%s", c.Family, c.Table, c.Name, nftWords.rule(p))
}

// A dialect is how a program writes what an accepting rule matches.
type dialect struct{ in, out, src, proto, dport, dnat, established, accept string }

var (
	iptablesWords = dialect{" -i ", " -o ", " -s %s", " -p %d", " -p udp --dport %d", " -m conntrack --ctstate DNAT", " -m conntrack --ctstate RELATED,ESTABLISHED", " -j ACCEPT"}
	nftWords      = dialect{" iifname ", " oifname ", " ip6 saddr %s", " meta l4proto %d", " udp dport %d", " ct status dnat", " ct state established,related", " accept"}
)

func (d dialect) rule(p packet) string {
	s := ""
	if p.in.Name != "" {
		s += d.in + p.in.Name
	}
	if p.out.Name != "" {
		s += d.out + p.out.Name
	}
	switch {
	case p.proto == protoIPIP:
		s += fmt.Sprintf(d.src, p.src[0].first) + fmt.Sprintf(d.proto, p.proto)
	case p.icmp != 0:
		s += fmt.Sprintf(d.proto, p.proto)
	case p.family == 6: // DHCPv6
		s += fmt.Sprintf(d.dport, p.dports.First)
	case p.dnat:
		s += d.dnat
	case p.state == established:
		s += d.established
	}
	return s + d.accept
}

// ruleText is a rule in about the syntax of nft(8).
func ruleText(r ruleset.Rule) string {
	var words []string
	for _, s := range r.Steps {
		switch {
		case s.Do == ruleset.DoLookup:
			words = append(words, strings.Join(s.Fields, " . ")+" vmap")
		case s.Do == ruleset.DoFlow:
			words = append(words, s.Do+" @"+s.To)
		case s.Do != "":
			words = append(words, strings.TrimSpace(s.Do+" "+s.To))
		case slices.Equal(s.Fields, []string{ruleset.FieldNFProto}) && !s.Not:
			// nft puts it in front of every address by itself.
		default:
			words = append(words, testText(s))
		}
	}
	return strings.Join(words, " ")
}

func testText(s ruleset.Step) string {
	text := strings.Join(s.Fields, " . ")
	if s.Unknown {
		return text + " …"
	}
	if s.Not {
		text += " !="
	}
	var values []string
	for _, c := range s.Any {
		var parts []string
		for i, v := range c.Intervals {
			parts = append(parts, valueText(s.Fields[min(i, len(s.Fields)-1)], v))
		}
		values = append(values, strings.Join(parts, " . "))
	}
	return text + " " + strings.Join(values, ",")
}

var stateNames = map[uint32]string{invalid: "invalid", established: "established", 4: "related", isNew: "new", untracked: "untracked", ruleset.StateDNAT: "dnat"}

// valueText is an interval of a field: a name, an address or prefix, a number.
func valueText(field string, v ruleset.Interval) string {
	if field == ruleset.FieldIIfName || field == ruleset.FieldOIfName {
		name := strings.TrimRight(string(v.From), "\x00")
		if len(name) < len(v.To) && v.To[len(name)] == 0xff {
			name += "*"
		}
		return fmt.Sprintf("%q", name)
	}
	if from, ok := netip.AddrFromSlice(v.From); ok && strings.HasSuffix(field, "addr") {
		to, _ := netip.AddrFromSlice(v.To)
		for n := 0; n <= from.BitLen(); n++ {
			if p := netip.PrefixFrom(from, n); p.Masked().Addr() == from && kernel.LastAddress(p) == to {
				return strings.TrimSuffix(p.String(), fmt.Sprintf("/%d", from.BitLen()))
			}
		}
		return from.String() + "-" + to.String()
	}
	text := func(b []byte) string {
		n := binary.BigEndian.Uint32(append(make([]byte, 4-min(4, len(b))), b...))
		switch name := stateNames[n]; {
		case field == ruleset.FieldMark || field == ruleset.FieldCtMark:
			return fmt.Sprintf("%#x", n)
		case field == ruleset.FieldState && name != "":
			return name
		case field == ruleset.FieldDestType && typeNames[n] != "":
			return typeNames[n]
		case field == ruleset.FieldL4Proto && foreignProtocols[n] != "":
			return foreignProtocols[n]
		}
		return fmt.Sprint(n)
	}
	if string(v.From) == string(v.To) {
		return text(v.From)
	}
	return text(v.From) + "-" + text(v.To)
}

var typeNames = map[uint32]string{unix.RTN_UNICAST: "unicast", unix.RTN_LOCAL: "local", unix.RTN_BROADCAST: "broadcast", unix.RTN_ANYCAST: "anycast", unix.RTN_MULTICAST: "multicast"}

var foreignProtocols = map[uint32]string{1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp"}
