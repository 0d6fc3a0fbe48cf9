package reconcile

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// Maps between the pool, which connection tracking sees, and the real ports, which the line sees.
const (
	toReal = "real"
	toPool = "pool"
)

// Regular chains: what happens to packets of the tunnel.
const (
	errorIn  = "error-in"
	errorOut = "error-out"
	forwards = "forwards"
	hairpin  = "hairpin"
)

// A config is what table ip mape is made of.
type config struct {
	Tunnel    string       // interface name
	Address   netip.Prefix // the shared one; a prefix that is not shared
	Ports     []softwire.PortRange
	MTU       int              // of the tunnel, bytes
	Forwards  []schema.Forward // every port of them in Ports
	Inbound   string
	Conntrack schema.Conntrack
}

// natTable compiles table ip mape: guard, NAT and MSS clamp. The pool is that of the configuration.
//
// Packets of other interfaces pay one comparison in each chain they meet, of a link's type: that of a name costs three
// times as many instructions, 235 (TestCost). Those of the tunnel pay one look-up. The tunnel is known by its name,
// because the table is there before it, but TCP's data does not pay for that. All policies are accept and the last rule
// drops: a policy of drop would drop every packet of the machine if the rules before it were flushed.
func natTable(c config, p pool) nft.Table {
	n := nat{
		tun: ifname(c.Tunnel), address: c.Address, mtu: c.MTU, pool: p, forwards: c.Forwards,
		accept: c.Inbound == "accept",
	}
	t := nft.Table{Name: tableName, Timeouts: timeouts(c.Conntrack), Chains: []nft.Chain{
		n.prerouting(), n.dstnat(), n.input(), n.srcnat(), n.postrouting(),
	}}
	if n.permuted() {
		t.Sets = []nft.Set{nft.PortMap(toReal, n.real), nft.PortMap(toPool, inverse(n.real))}
		t.Chains = append(t.Chains, n.errorIn(), n.errorOut())
	}
	if len(n.forwards) > 0 {
		t.Chains = append(t.Chains, n.output(), n.forwarding(), n.hairpin())
	}
	if n.accept && n.permuted() {
		t.Chains = append(t.Chains, n.restore())
	}
	if n.parted() {
		t.Sets = append(t.Sets, n.counts()...)
		t.Chains = append(t.Chains, n.counted(), n.crowded(), n.opened())
	}
	return t
}

type nat struct {
	pool
	tun      []byte
	address  netip.Prefix
	mtu      int
	forwards []schema.Forward
	accept   bool // new connections from the internet that no forward is for are left to others
}

// ifname is an interface name as the kernel compares it.
func ifname(name string) []byte {
	b := make([]byte, 16)
	copy(b, name)
	return b
}

var (
	// tunnelType is the type of an ip6tnl link, ARPHRD_TUNNEL6.
	tunnelType = binaryutil.NativeEndian.PutUint16(unix.ARPHRD_TUNNEL6)

	icmp = nft.Is(nft.L4Proto, []byte{1})
	tcp  = nft.Is(nft.L4Proto, []byte{6})
	udp  = nft.Is(nft.L4Proto, []byte{17})

	// known are packets of connections that exist and ICMP errors about them; new, invalid and untracked ones are not.
	known   = ctState(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)
	related = ctState(expr.CtStateBitRELATED)
	// stray are packets that NAT never sees.
	stray = ctState(expr.CtStateBitINVALID | expr.CtStateBitUNTRACKED)
	// translated are packets of connections whose destination NAT has changed: those of a forward.
	translated = nft.Has(nft.CtStatus, binaryutil.NativeEndian.PutUint32(1<<5)) // IPS_DST_NAT
	// confirmed are packets of connections that are entered already: all but the first.
	confirmed    = nft.Has(nft.CtStatus, confirmedBit)
	confirmedBit = binaryutil.NativeEndian.PutUint32(1 << 3) // IPS_CONFIRMED

	synFlag = []byte{2}
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
	mine := nft.NewRule(nft.Not(nft.IIfName, n.tun), nft.Accept)
	data := n.data(nft.Within(nft.IPDaddr, n.address), nft.TCPDport, toPool)
	c.Rules = append(c.Rules, nft.NewRule(nft.Not(nft.IIfType, tunnelType), nft.Accept))
	if n.accept {
		// Another tunnel may lead to ports of the shared address as well, by destination NAT in somebody's table.
		c.Rules = append(c.Rules, mine, data)
	} else {
		c.Rules = append(c.Rules, data, mine)
	}
	c.Rules = append(c.Rules, nft.NewRule(nft.Outside(nft.IPDaddr, n.address), nft.Drop))
	c.Rules = append(c.Rules, n.ports(nft.TCPDport, nft.UDPDport, toPool, nil)...)
	c.Rules = append(c.Rules, nft.NewRule(icmpType(echoReply), n.match(nft.ICMPID, toPool), nft.Accept))
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
// the shared address and a port of the set passes, translated by whatever path it came: those that another table's NAT
// took first have the wrong source, and so have packets without a connection (invalid, untracked), unless somebody on
// the LAN forged it.
func (n nat) postrouting() nft.Chain {
	c := nft.Chain{Name: "postrouting", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPostrouting, Priority: 300}
	c.Rules = append(c.Rules,
		nft.NewRule(nft.Not(nft.OIfType, tunnelType), nft.Accept),
		// What is for the shared address came out of the tunnel, and would go round: it ends below.
		n.data(append(nft.Within(nft.IPSaddr, n.address), nft.Outside(nft.IPDaddr, n.address)...), nft.TCPSport, toReal),
		nft.NewRule(nft.Not(nft.OIfName, n.tun), nft.Accept),
		nft.NewRule(nft.Outside(nft.IPSaddr, n.address), nft.Drop),
		nft.NewRule(stray, nft.Drop))
	var first []expr.Any
	if n.parted() {
		first = nft.Jump(opened)
	}
	c.Rules = append(c.Rules, n.ports(nft.TCPSport, nft.UDPSport, toReal, first)...)
	c.Rules = append(c.Rules, nft.NewRule(icmpType(echoRequest), n.match(nft.ICMPID, toReal), nft.Accept))
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

// data lets TCP's data through, which is most of what there is: the first rule that a packet of the tunnel meets. The
// shared address on a link of the tunnel's type says enough: nobody has two tunnels with one address. Nor is it asked
// whether a connection is known, as of what opens one: what has the shared address here was translated, or was forged on
// the LAN, which is no more than forging a neighbour's.
func (n nat) data(shared []expr.Any, port nft.Field, by string) nft.Rule {
	return nft.NewRule(shared, nft.Is(nft.IPProtocol, []byte{6}), nft.HasNone(nft.TCPFlags, synFlag), n.match(port, by), nft.Accept)
}

// ports lets TCP and UDP of the set through. A SYN's segment size is lowered to what the tunnel carries. What opens a
// connection passes through first, if that is given.
func (n nat) ports(tcpPort, udpPort nft.Field, by string, first []expr.Any) []nft.Rule {
	var size []expr.Any
	if n.mtu > 40 {
		size = nft.MaxSegmentSize(uint16(min(n.mtu, 65535) - 40))
	}
	var rules []nft.Rule
	if first != nil || size != nil {
		rules = append(rules, nft.NewRule(tcp, size, first))
	}
	rules = append(rules, nft.NewRule(tcp, n.match(tcpPort, by), nft.Accept))
	if first != nil {
		rules = append(rules, nft.NewRule(udp, nft.HasNone(nft.CtStatus, confirmedBit), first))
	}
	if !n.permuted() {
		return append(rules, nft.NewRule(udp, n.match(udpPort, by), nft.Accept))
	}
	// A UDP checksum of 0 says that there is none, and must stay 0: an update would make it a wrong one.
	return append(rules,
		nft.NewRule(udp, nft.Not(nft.UDPChecksum, nft.Port(0)), n.match(udpPort, by), nft.Accept),
		nft.NewRule(udp, n.match(udpPort.NoChecksum(), by), nft.Accept))
}

// match matches a port of the set, and maps it where it is to be mapped.
func (n nat) match(f nft.Field, by string) []expr.Any {
	if n.permuted() {
		return nft.Map(f, by)
	}
	return nft.In(f, nft.Port(n.set.First), nft.Port(n.set.Last))
}

// input lets in what belongs to a connection, and the first packet of one that was forwarded to the gateway itself. Its
// own services have no other way to be reached.
//
// There is no such chain for what is forwarded, because every packet would pay for it. A packet with a new connection
// ends in dstnat, and one without any, invalid or untracked, is not translated: coming from the line it is still for the
// shared address, which leads back into the tunnel, and like one from the LAN it ends in postrouting by its source.
func (n nat) input() nft.Chain {
	c := nft.Chain{Name: "input", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookInput}
	c.Rules = []nft.Rule{nft.NewRule(nft.Not(nft.IIfName, n.tun), nft.Accept), nft.NewRule(known, nft.Accept)}
	if len(n.forwards) > 0 || n.accept {
		c.Rules = append(c.Rules, nft.NewRule(translated, nft.Accept))
	}
	c.Rules = append(c.Rules, nft.NewRule(nft.Drop))
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
