package firewall

import (
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/kernel"
	"mape-netplan/schema"
)

// Paths are where a gateway's packets go.
type Paths struct {
	Tunnel, WAN kernel.Link   // without a tunnel: only what the line's router sends
	LAN         []kernel.Link // none: not known
	Links       []kernel.Link // of this machine, all
	CE, BR      netip.Addr
	Forwards    []schema.Forward
	Delegated   bool // the prefix comes by DHCPv6
}

// flows lists what must get through: connections from each LAN and their answers, those of this machine itself, the IPv6
// packets between this machine and the border relay that carry them all, what the line's router says of itself and asks
// for, and the forwarded ports.
func (p Paths) flows() []flow {
	if p.Tunnel.Name == "" {
		return []flow{p.discovery()}
	}
	all := slices.Concat(p.lan(), p.own(), p.outer())
	for _, t := range p.targets() {
		all = append(all, t.flows(p.Tunnel)...)
		for _, lan := range p.LAN {
			all = append(all, t.hairpins(p.Tunnel.Name, lan)...)
		}
	}
	return all
}

func (p Paths) lan() (all []flow) {
	tunnel := p.Tunnel.Name
	for _, lan := range p.LAN {
		all = append(all, flow{tunnel: tunnel, packets: transports(
			packet{what: "new connections from " + lan.Name + " to " + tunnel, hooks: throughForward, in: lan, out: p.Tunnel, state: isNew, src: spansOf(lan.Inet4()...)},
			packet{what: "the answers from " + tunnel + " to " + lan.Name, hooks: throughForward, in: p.Tunnel, out: lan, state: established, dst: spansOf(lan.Inet4()...)},
		)})
	}
	if len(p.LAN) == 0 {
		all = append(all, flow{tunnel: tunnel, note: "; as mape.lan does not say what the LAN is, this is about every interface", packets: transports(
			packet{what: "what is forwarded to " + tunnel, hooks: throughForward, anyIn: true, out: p.Tunnel, state: isNew, src: anywhere},
			packet{what: "the answers from " + tunnel + " to what is forwarded there", hooks: throughForward, in: p.Tunnel, anyOut: true, state: established, dst: anywhere},
		)})
	}
	return all
}

func (p Paths) own() []flow {
	tunnel := p.Tunnel.Name
	var own []netip.Prefix
	for _, l := range p.Links {
		for _, a := range l.Inet4() {
			if !l.Loopback {
				own = append(own, netip.PrefixFrom(a.Addr(), 32))
			}
		}
	}
	return []flow{{tunnel: tunnel, packets: transports(
		packet{what: "this machine's own connections through " + tunnel, hooks: throughOutput, out: p.Tunnel, state: isNew, src: spansOf(own...)},
		packet{what: "the answers from " + tunnel + " to this machine", hooks: throughInput, in: p.Tunnel, state: established, local: true},
	)}}
}

func (p Paths) outer() []flow {
	ce, br := netip.PrefixFrom(p.CE, 128), netip.PrefixFrom(p.BR, 128)
	return []flow{{tunnel: p.Tunnel.Name, packets: []packet{
		{what: "the tunnel's packets from the border relay " + p.BR.String(), hooks: throughInput, family: 6, in: p.WAN,
			state: established, proto: protoIPIP, src: spansOf(br), dst: spansOf(ce), local: true},
		{what: "the tunnel's packets to the border relay " + p.BR.String(), hooks: throughOutput, family: 6, out: p.WAN,
			state: isNew, proto: protoIPIP, src: spansOf(ce), dst: spansOf(br)},
	}}, p.discovery()}
}

// discovery is what the line's router sends, without which there is no IPv6: connection tracking does not see it.
func (p Paths) discovery() flow {
	f := flow{tunnel: p.Tunnel.Name}
	for _, m := range []struct {
		what string
		icmp byte
	}{{"router advertisements", 134}, {"neighbour discovery", 135}, {"neighbour discovery", 136}} {
		f.packets = append(f.packets, packet{what: "the line's " + m.what + " on " + p.WAN.Name, hooks: throughInput, family: 6, in: p.WAN,
			state: untracked, proto: unix.IPPROTO_ICMPV6, icmp: m.icmp, src: spansOf(linkLocal), dst: spansOf(linkLocal, allNodes), local: true})
	}
	if p.Delegated { // Its answers are for a question to all servers, and so belong to no connection.
		const client = 546
		f.packets = append(f.packets, packet{what: "the line's DHCPv6 answers on " + p.WAN.Name, hooks: throughInput, family: 6, in: p.WAN,
			state: isNew, proto: unix.IPPROTO_UDP, src: spansOf(linkLocal), dst: spansOf(linkLocal), dports: schema.PortRange{First: client, Last: client}, local: true})
	}
	return f
}

var linkLocal, allNodes = netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff02::/16")

// A target is where the ports are that are forwarded to hosts behind one interface, or to this machine itself.
type target struct {
	link  kernel.Link // without a name: this machine
	ports []targetPorts
}

// targetPorts are consecutive ports of a host for a protocol, as they are after the translation.
type targetPorts struct {
	to    netip.Prefix
	ports schema.PortRange
	proto byte
	text  string
}

// targets groups the forwards by interface. Those to a host behind a further router are left out.
func (p Paths) targets() []target {
	var all []target
	for _, forward := range p.Forwards {
		link, local := p.toward(forward.To.Addr())
		if link.Name == "" && !local {
			continue
		}
		i := slices.IndexFunc(all, func(t target) bool { return t.link.Name == link.Name })
		if i < 0 {
			i, all = len(all), append(all, target{link: link})
		}
		all[i].ports = append(all[i].ports, targetPortsOf(forward, local)...)
	}
	return all
}

// toward finds the interface of the network that an address is in; local is one of this machine's own.
func (p Paths) toward(to netip.Addr) (link kernel.Link, local bool) {
	bits := -1
	for _, l := range p.Links {
		for _, a := range l.Inet4() {
			if a.Addr() == to {
				return kernel.Link{}, true
			}
			if l.Name != p.Tunnel.Name && a.Contains(to) && a.Bits() > bits {
				link, bits = l, a.Bits()
			}
		}
	}
	return link, false
}

func targetPortsOf(f schema.Forward, local bool) []targetPorts {
	ranges := f.Ports
	if first := f.To.Port(); first != 0 {
		count := 0
		for _, r := range f.Ports {
			count += int(r.Last-r.First) + 1
		}
		ranges = []schema.PortRange{{First: first, Last: first + uint16(max(count, 1)-1)}}
	}
	names, numbers := f.Protocol, []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP}
	switch f.Protocol {
	case "tcp":
		numbers = numbers[:1]
	case "udp":
		numbers = numbers[1:]
	default:
		names = "tcp/udp"
	}
	var all []targetPorts
	for _, r := range ranges {
		text := fmt.Sprint(r.First)
		if r.Last > r.First {
			text += fmt.Sprintf("-%d", r.Last)
		}
		if !local {
			text = f.To.Addr().String() + ":" + text
		}
		for _, n := range numbers {
			all = append(all, targetPorts{netip.PrefixFrom(f.To.Addr(), 32), r, n, names + " " + text})
		}
	}
	return all
}

// packets returns a packet for each of the ports.
func (t target) packets(p packet) []packet {
	var all []packet
	p.family, p.dnat, p.local = 4, true, t.link.Name == ""
	p.hooks, p.out = throughForward, t.link
	if p.local {
		p.hooks = throughInput
	}
	for _, at := range t.ports {
		p.dst, p.dports, p.proto, p.detail = spansOf(at.to), at.ports, at.proto, at.text
		all = append(all, p)
	}
	return all
}

// hosts lists them.
func (t target) hosts() []netip.Prefix {
	var all []netip.Prefix
	for _, p := range t.ports {
		if !slices.Contains(all, p.to) {
			all = append(all, p.to)
		}
	}
	return all
}

// flows is what has to get through to a target.
func (t target) flows(tunnel kernel.Link) []flow {
	if t.link.Name == "" {
		return []flow{{tunnel: tunnel.Name, packets: t.packets(packet{what: "what is forwarded to this machine", in: tunnel, state: isNew})}}
	}
	return []flow{{tunnel: tunnel.Name, packets: append(
		t.packets(packet{what: "forwarded ports from " + tunnel.Name + " to " + t.link.Name, in: tunnel, state: isNew}),
		transports(packet{what: "the answers of forwarded ports from " + t.link.Name + " to " + tunnel.Name, hooks: throughForward,
			in: t.link, out: tunnel, state: established, src: spansOf(t.hosts()...), dnat: true})...)}}
}

// hairpins is what has to get through from a LAN to a target: the shared address works from there as well.
func (t target) hairpins(tunnel string, lan kernel.Link) []flow {
	what := "connections from " + lan.Name + " to forwarded ports "
	if t.link.Name == "" {
		return []flow{{tunnel: tunnel, packets: t.packets(packet{what: what + "of this machine", in: lan, state: isNew, src: spansOf(lan.Inet4()...)})}}
	}
	return []flow{{tunnel: tunnel, packets: append(
		t.packets(packet{what: what + "on " + t.link.Name, in: lan, state: isNew, src: spansOf(lan.Inet4()...)}),
		transports(packet{what: "the answers of forwarded ports from " + t.link.Name + " to " + lan.Name, hooks: throughForward,
			in: t.link, out: lan, state: established, src: spansOf(t.hosts()...), dst: spansOf(lan.Inet4()...), dnat: true})...)}}
}
