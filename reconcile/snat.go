package reconcile

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"

	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/softwire"
)

// Maps between the pool, which connection tracking sees, and the real ports, which the line sees.
const (
	toReal = "real"
	toPool = "pool"
)

// Regular chains: what happens to packets of the tunnel.
const (
	arrived  = "arrived"
	errorIn  = "error-in"
	errorOut = "error-out"
)

// natTable compiles table ip mape for the tunnel interface tun of MTU mtu: guard, NAT and MSS clamp.
//
// Packets of other interfaces pay one comparison in each chain they meet, those of the tunnel one look-up. Interfaces
// are compared by name because the table is there before the tunnel. All policies are accept and the last rule drops:
// a policy of drop would drop every packet of the machine if the rules before it were flushed.
func natTable(tun string, sw softwire.Softwire, mtu int) nft.Table {
	n := nat{tun: ifname(tun), address: sw.IPv4, mtu: mtu, pool: newPool(sw.Ports())}
	t := nft.Table{Name: tableName, Chains: []nft.Chain{
		n.prerouting(), n.dstnat(), n.input(), n.forward(), n.srcnat(), n.postrouting(), n.arrived(),
	}}
	if n.permuted() {
		t.Sets = []nft.Set{nft.PortMap(toReal, n.real), nft.PortMap(toPool, inverse(n.real))}
		t.Chains = append(t.Chains, n.errorIn(), n.errorOut())
	}
	return t
}

type nat struct {
	pool
	tun     []byte
	address netip.Prefix
	mtu     int
}

// ifname is an interface name as the kernel compares it.
func ifname(name string) []byte {
	b := make([]byte, 16)
	copy(b, name)
	return b
}

var (
	icmp = nft.Is(nft.L4Proto, []byte{1})
	tcp  = nft.Is(nft.L4Proto, []byte{6})
	udp  = nft.Is(nft.L4Proto, []byte{17})

	// known are packets of connections that exist and ICMP errors about them; new, invalid and untracked ones are not.
	known   = ctState(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)
	related = ctState(expr.CtStateBitRELATED)
	// stray are packets that NAT never sees.
	stray = ctState(expr.CtStateBitINVALID | expr.CtStateBitUNTRACKED)
)

func ctState(bits uint32) []expr.Any {
	return nft.Has(nft.CtState, binaryutil.NativeEndian.PutUint32(bits))
}

func icmpType(n byte) []expr.Any {
	return append(append([]expr.Any{}, icmp...), nft.Is(nft.ICMPType, []byte{n})...)
}

// ICMP types. Redirects and the deprecated source quench have no business on a tunnel.
const (
	echoReply              = 0
	destinationUnreachable = 3
	echoRequest            = 8
	timeExceeded           = 11
	parameterProblem       = 12
)

var icmpErrors = []byte{destinationUnreachable, timeExceeded, parameterProblem}

// prerouting meets what arrives from the tunnel before connection tracking (-200) does, but whole: fragments were put
// together at -400. What is not for a port of the set ends here, so a pool number coming from the line matches nothing.
func (n nat) prerouting() nft.Chain {
	c := nft.Chain{Name: "prerouting", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPrerouting, Priority: -350}
	c.Rules = append(c.Rules,
		nft.NewRule(nft.Not(nft.IIfName, n.tun), nft.Accept),
		nft.NewRule(nft.Outside(nft.IPDaddr, n.address), nft.Drop))
	c.Rules = append(c.Rules, n.ports(nft.TCPDport, nft.UDPDport, toPool)...)
	c.Rules = append(c.Rules, nft.NewRule(icmpType(echoReply), n.port(nft.ICMPID, toPool), nft.Accept))
	for _, e := range icmpErrors {
		// Connection tracking knows the errors that quote a packet of a connection; it calls the others invalid.
		verdict := nft.Accept
		if n.permuted() {
			verdict = nft.Goto(errorIn)
		}
		c.Rules = append(c.Rules, nft.NewRule(icmpType(e), verdict))
	}
	c.Rules = append(c.Rules, nft.NewRule(nft.Drop))
	return c
}

// postrouting meets what leaves through the tunnel after source NAT (100), our own packets included. Only what carries
// the shared address and a port of the set passes, translated by whatever path it came: packets without a connection
// (invalid, untracked) and those that another table's NAT took first have the wrong source.
func (n nat) postrouting() nft.Chain {
	c := nft.Chain{Name: "postrouting", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPostrouting, Priority: 300}
	c.Rules = append(c.Rules,
		nft.NewRule(nft.Not(nft.OIfName, n.tun), nft.Accept),
		nft.NewRule(nft.Outside(nft.IPSaddr, n.address), nft.Drop))
	c.Rules = append(c.Rules, n.ports(nft.TCPSport, nft.UDPSport, toReal)...)
	c.Rules = append(c.Rules, nft.NewRule(icmpType(echoRequest), n.port(nft.ICMPID, toReal), nft.Accept))
	for _, e := range icmpErrors {
		verdict := nft.Accept
		if n.permuted() {
			verdict = nft.Goto(errorOut)
		}
		c.Rules = append(c.Rules, nft.NewRule(icmpType(e), related, verdict))
	}
	c.Rules = append(c.Rules, nft.NewRule(nft.Drop))
	return c
}

// ports lets TCP and UDP of the set through, TCP clamped.
func (n nat) ports(tcpPort, udpPort nft.Field, by string) []nft.Rule {
	var rules []nft.Rule
	if n.mtu > 40 {
		rules = append(rules, nft.NewRule(tcp, nft.Has(nft.TCPFlags, []byte{2}), nft.MaxSegmentSize(uint16(min(n.mtu, 65535)-40))))
	}
	rules = append(rules, nft.NewRule(tcp, n.port(tcpPort, by), nft.Accept))
	if !n.permuted() {
		return append(rules, nft.NewRule(udp, n.port(udpPort, by), nft.Accept))
	}
	// A UDP checksum of 0 says that there is none, and must stay 0: an update would make it a wrong one.
	return append(rules,
		nft.NewRule(udp, nft.Not(nft.UDPChecksum, nft.Port(0)), n.port(udpPort, by), nft.Accept),
		nft.NewRule(udp, n.port(udpPort.NoChecksum(), by), nft.Accept))
}

// port matches a port of the set, and maps it where it is to be mapped.
func (n nat) port(f nft.Field, by string) []expr.Any {
	if n.permuted() {
		return nft.Map(f, by)
	}
	return nft.In(f, nft.Port(n.set.First), nft.Port(n.set.Last))
}

// dstnat ends what nobody here began. Only the first packet of a connection comes to a chain of this type, so that the
// packets of all others do not pay. It runs before other tables' destination NAT (-100), and because it is before
// routing, no redirect, time exceeded or unreachable can come of such a packet.
func (n nat) dstnat() nft.Chain {
	return nft.Chain{
		Name: "dstnat", Type: nftables.ChainTypeNAT, Hook: *nftables.ChainHookPrerouting, Priority: -101,
		Rules: []nft.Rule{nft.NewRule(nft.Is(nft.IIfName, n.tun), nft.Drop)},
	}
}

// input and forward end what has no connection at all, which dstnat does not see.
func (n nat) input() nft.Chain {
	return nft.Chain{
		Name: "input", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookInput,
		Rules: []nft.Rule{nft.NewRule(nft.Is(nft.IIfName, n.tun), nft.Goto(arrived))},
	}
}

func (n nat) forward() nft.Chain {
	return nft.Chain{
		Name: "forward", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookForward,
		Rules: []nft.Rule{
			nft.NewRule(nft.Is(nft.IIfName, n.tun), nft.Goto(arrived)),
			nft.NewRule(nft.Not(nft.OIfName, n.tun), nft.Accept),
			nft.NewRule(stray, nft.Drop),
			nft.NewRule(tcp, nft.Accept), nft.NewRule(udp, nft.Accept), nft.NewRule(icmp, nft.Accept),
			nft.NewRule(nft.RejectProtocol),
		},
	}
}

func (n nat) arrived() nft.Chain {
	return nft.Chain{Name: arrived, Rules: []nft.Rule{
		nft.NewRule(nft.Is(nft.OIfName, n.tun), nft.Drop), nft.NewRule(known, nft.Accept), nft.NewRule(nft.Drop),
	}}
}

// srcnat is the ordinary source NAT of the kernel, to ports that follow each other: the pool. It searches all of them,
// keeps one port per socket and reuses closed connections' ports. It runs before other tables' source NAT (100), whose
// masquerade would otherwise take some address of this machine.
//
// With an IPv4 prefix the host part of the address is kept: every LAN host has an address of its own as long as there
// are enough, and always the same.
func (n nat) srcnat() nft.Chain {
	c := nft.Chain{Name: "srcnat", Type: nftables.ChainTypeNAT, Hook: *nftables.ChainHookPostrouting, Priority: 99}
	if n.first == 0 {
		return c
	}
	c.Rules = []nft.Rule{nft.NewRule(nft.Not(nft.OIfName, n.tun), nft.Accept)}
	for _, protocol := range [][]expr.Any{tcp, udp, icmp} {
		c.Rules = append(c.Rules, nft.NewRule(protocol, nft.SNAT(n.address, n.first, n.last)))
	}
	return c
}

// errorIn maps the port in the packet that an ICMP error from the internet quotes, which is one we sent, so that
// connection tracking recognises it.
func (n nat) errorIn() nft.Chain { return quoted(errorIn, 28, toPool) }

// errorOut maps the port in the packet that an ICMP error of ours quotes, which is one we got.
func (n nat) errorOut() nft.Chain { return quoted(errorOut, 30, toReal) }

// quoted maps the quoted TCP or UDP port at the offset from the ICMP header, or the echo identifier. These places are
// right behind an IPv4 header without options, which is what anybody sends.
func quoted(name string, port uint32, by string) nft.Chain {
	const checksum = 2
	header, protocol := nft.Raw(8, 1, checksum), nft.Raw(17, 1, checksum)
	return nft.Chain{Name: name, Rules: []nft.Rule{
		nft.NewRule(nft.Not(header, []byte{0x45}), nft.Drop),
		nft.NewRule(nft.Is(protocol, []byte{6}), nft.Map(nft.Raw(port, 2, checksum), by), nft.Accept),
		nft.NewRule(nft.Is(protocol, []byte{17}), nft.Map(nft.Raw(port, 2, checksum), by), nft.Accept),
		nft.NewRule(nft.Is(protocol, []byte{1}), nft.Map(nft.Raw(32, 2, checksum), by), nft.Accept),
		nft.NewRule(nft.Drop),
	}}
}
