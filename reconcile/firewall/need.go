package firewall

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/firewall/ruleset"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/schema"
)

// Paths are where a gateway's packets go.
type Paths struct {
	Tunnel, WAN kernel.Link
	LAN         []kernel.Link // none: not known
	Links       []kernel.Link // of this machine, all
	CE, BR      netip.Addr
	Forwards    []schema.Forward
}

// A flow is what has to get through the rules of others for one of our purposes.
type flow struct {
	tunnel  string
	note    string // in every warning about it
	packets []packet
}

// A packet is what is known of a kind of packets before one is seen.
type packet struct {
	what    string      // in a warning: "drops ‹what›"
	detail  string      // of which: "tcp 192.168.1.20:80"
	hooks   []string    // on its way
	family  byte        // 4 or 6
	in, out kernel.Link // without a name: none
	anyIn   bool        // comes in somewhere, not through the tunnel
	anyOut  bool        // leaves somewhere, not through the tunnel
	state   uint32      // of its connection; 0 is not known
	proto   byte
	src     spans            // nil is somewhere on the internet
	dst     spans            // likewise
	local   bool             // the destination is this machine
	dnat    bool             // the destination was translated
	dports  schema.PortRange // without any: not known
}

// anywhere is an address that is not known.
var anywhere = spansOf(netip.PrefixFrom(netip.IPv4Unspecified(), 0))

// States of a connection, as nf_tables has them.
const (
	established = 1 << 1
	isNew       = 1 << 3
)

const protoIPIP = 4

var (
	throughForward = []string{"prerouting", "forward", "postrouting"}
	throughInput   = []string{"prerouting", "input"}
	throughOutput  = []string{"output", "postrouting"}
)

// flows lists what must get through: connections from each LAN and their answers, those of this machine itself, and
// between this machine and the border relay the IPv6 packets that carry them all.
func (p Paths) flows() []flow {
	var all []flow
	tunnel := p.Tunnel.Name
	for _, t := range p.targets() {
		all = append(all, t.flows(p.Tunnel)...)
		for _, lan := range p.LAN {
			all = append(all, t.hairpins(tunnel, lan)...)
		}
	}
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
	var own []netip.Prefix
	for _, l := range p.Links {
		for _, a := range l.Inet4() {
			if !l.Loopback {
				own = append(own, netip.PrefixFrom(a.Addr(), 32))
			}
		}
	}
	all = append(all, flow{tunnel: tunnel, packets: transports(
		packet{what: "this machine's own connections through " + tunnel, hooks: throughOutput, out: p.Tunnel, state: isNew, src: spansOf(own...)},
		packet{what: "the answers from " + tunnel + " to this machine", hooks: throughInput, in: p.Tunnel, state: established, local: true},
	)})
	ce, br := netip.PrefixFrom(p.CE, 128), netip.PrefixFrom(p.BR, 128)
	return append(all, flow{tunnel: tunnel, packets: []packet{
		{what: "the tunnel's packets from the border relay " + p.BR.String(), hooks: []string{"input"}, family: 6, in: p.WAN,
			state: established, proto: protoIPIP, src: spansOf(br), dst: spansOf(ce), local: true},
		{what: "the tunnel's packets to the border relay " + p.BR.String(), hooks: []string{"output"}, family: 6, out: p.WAN,
			state: isNew, proto: protoIPIP, src: spansOf(ce), dst: spansOf(br)},
	}})
}

// transports makes a TCP and a UDP packet of each.
func transports(packets ...packet) []packet {
	var all []packet
	for _, p := range packets {
		for _, p.proto = range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
			p.family = 4
			all = append(all, p)
		}
	}
	return all
}

func (p packet) meets(c ruleset.Chain) bool {
	family := map[string]byte{"ip": 4, "ip6": 6}[c.Family]
	return slices.Contains(p.hooks, c.Hook) && (family == 0 || family == p.family) &&
		// Network address translation sees the first packet of a connection only.
		(c.Type != "nat" || p.state == isNew)
}

// at is the packet as a base chain sees it.
func (p packet) at(c ruleset.Chain) packet {
	switch c.Hook {
	case "prerouting":
		p.out, p.anyOut = kernel.Link{}, false
		if c.Priority <= dnatPriority {
			// What comes from the line, and what is forwarded, is for the shared address until it is translated.
			if forwarded := p.dnat && p.state == isNew; forwarded || p.in.Name != "" && p.src == nil {
				p.dst, p.dports, p.local = nil, schema.PortRange{}, p.local && !forwarded
				p.dnat = p.dnat && !forwarded
			}
		}
		if c.Priority <= conntrackPriority {
			p.state = 0
		}
	case "postrouting":
		if c.Priority >= natPriority && c.Type != "nat" {
			p.src = anywhere // translated or not
		}
	}
	return p
}
