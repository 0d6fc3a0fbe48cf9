package firewall

import (
	"net/netip"

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
