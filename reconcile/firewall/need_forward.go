package firewall

import (
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/kernel"
	"mape-netplan/schema"
)

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

// targets sorts what is forwarded by where that leads. What is behind a router that only the routes know is not
// in it.
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

// packets makes one of a packet for each of the ports.
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

// hairpins is what has to get through from a LAN to a target: the shared address leads to it from there as well.
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
