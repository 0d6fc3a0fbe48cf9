package reconcile

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/firewall/ruleset"
	"mape-netplan/schema"
)

// A flow is what has to get through the rules of others for one of our purposes.
type flow struct {
	tunnel  string
	note    string // in every warning about it
	packets []packet
}

// A packet is what is known of a kind of packets before one is seen.
type packet struct {
	what    string   // in a warning: "drops ‹what›"
	detail  string   // of which: "tcp 192.168.1.20:80"
	hooks   []string // on its way
	family  byte     // 4 or 6
	in, out Link     // without a name: none
	anyIn   bool     // comes in somewhere, not through the tunnel
	anyOut  bool     // leaves somewhere, not through the tunnel
	state   uint32   // of its connection; 0 is not known
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
func (g *Gateway) flows(f Facts) []flow {
	tunnel, ok := f.Link(g.Tunnel)
	if !ok {
		tunnel = Link{Name: g.Tunnel}
	}
	var all []flow
	for _, t := range g.targets(f) {
		all = append(all, t.flows(tunnel)...)
		for _, name := range g.LAN {
			lan, _ := f.Link(name)
			lan.Name = name
			all = append(all, t.hairpins(g.Tunnel, lan)...)
		}
	}
	for _, name := range g.LAN {
		lan, _ := f.Link(name)
		lan.Name = name
		all = append(all, flow{tunnel: g.Tunnel, packets: transports(
			packet{what: "new connections from " + name + " to " + g.Tunnel, hooks: throughForward, in: lan, out: tunnel, state: isNew, src: spansOf(lan.inet4()...)},
			packet{what: "the answers from " + g.Tunnel + " to " + name, hooks: throughForward, in: tunnel, out: lan, state: established, dst: spansOf(lan.inet4()...)},
		)})
	}
	if len(g.LAN) == 0 {
		all = append(all, flow{tunnel: g.Tunnel, note: "; as mape.lan does not say what the LAN is, this is about every interface", packets: transports(
			packet{what: "what is forwarded to " + g.Tunnel, hooks: throughForward, anyIn: true, out: tunnel, state: isNew, src: anywhere},
			packet{what: "the answers from " + g.Tunnel + " to what is forwarded there", hooks: throughForward, in: tunnel, anyOut: true, state: established, dst: anywhere},
		)})
	}
	var own []netip.Prefix
	for _, l := range f.Links {
		for _, p := range l.inet4() {
			if !l.Loopback {
				own = append(own, netip.PrefixFrom(p.Addr(), 32))
			}
		}
	}
	all = append(all, flow{tunnel: g.Tunnel, packets: transports(
		packet{what: "this machine's own connections through " + g.Tunnel, hooks: throughOutput, out: tunnel, state: isNew, src: spansOf(own...)},
		packet{what: "the answers from " + g.Tunnel + " to this machine", hooks: throughInput, in: tunnel, state: established, local: true},
	)})
	wan, _ := f.Link(g.WAN)
	wan.Name = g.WAN
	ce, br := netip.PrefixFrom(g.Softwire.CE, 128), netip.PrefixFrom(g.Softwire.BR, 128)
	return append(all, flow{tunnel: g.Tunnel, packets: []packet{
		{what: "the tunnel's packets from the border relay " + g.Softwire.BR.String(), hooks: []string{"input"}, family: 6, in: wan,
			state: established, proto: protoIPIP, src: spansOf(br), dst: spansOf(ce), local: true},
		{what: "the tunnel's packets to the border relay " + g.Softwire.BR.String(), hooks: []string{"output"}, family: 6, out: wan,
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

func (l Link) inet4() []netip.Prefix {
	var all []netip.Prefix
	for _, a := range l.Addresses {
		if a.Prefix.Addr().Is4() {
			all = append(all, a.Prefix)
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
		p.out, p.anyOut = Link{}, false
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
