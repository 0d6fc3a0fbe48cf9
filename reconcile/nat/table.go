// Package nat makes the nftables table ip mape of a plain configuration, and reads one back.
package nat

import (
	"net/netip"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/kernel"
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

// A Config is what table ip mape is made of.
type Config struct {
	Tunnel    string       // interface name
	Address   netip.Prefix // the shared one; a prefix that is not shared
	Ports     []softwire.PortRange
	MTU       int              // of the tunnel, bytes
	Forwards  []schema.Forward // every port of them in Ports
	Inbound   string
	Conntrack schema.Conntrack
}

// Table compiles table ip mape: guard, NAT and MSS clamp. The pool is that of the configuration.
//
// Packets of other interfaces pay one comparison in each chain they meet, of a link's type: that of a name costs three
// times as many instructions, 235 (TestCost). Those of the tunnel pay one look-up. The tunnel is known by its name,
// because the table is there before it, but TCP's data does not pay for that. All policies are accept and the last rule
// drops: a policy of drop would drop every packet of the machine if the rules before it were flushed.
func Table(c Config, p Pool) nft.Table {
	n := Nat{
		tun: kernel.IfName(c.Tunnel), address: c.Address, mtu: c.MTU, Pool: p, forwards: c.Forwards,
		accept: c.Inbound == "accept",
	}
	t := nft.Table{Name: Name, Timeouts: timeouts(c.Conntrack), Chains: []nft.Chain{
		n.prerouting(), n.dstnat(), n.input(), n.srcnat(), n.postrouting(),
	}}
	if n.Permuted() {
		t.Sets = []nft.Set{nft.PortMap(toReal, n.Real), nft.PortMap(toPool, Inverse(n.Real))}
		t.Chains = append(t.Chains, n.errorIn(), n.errorOut())
	}
	if len(n.forwards) > 0 {
		t.Chains = append(t.Chains, n.output(), n.forwarding(), n.hairpin())
	}
	if n.accept && n.Permuted() {
		t.Chains = append(t.Chains, n.restore())
	}
	if n.parted() {
		t.Sets = append(t.Sets, n.counts()...)
		t.Chains = append(t.Chains, n.counted(), n.crowded(), n.opened())
	}
	return t
}

type Nat struct {
	Pool
	tun      []byte
	address  netip.Prefix
	mtu      int
	forwards []schema.Forward
	accept   bool // new connections from the internet that no forward is for are left to others
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
	EchoReply              = 0
	DestinationUnreachable = 3
	EchoRequest            = 8
	TimeExceeded           = 11
	ParameterProblem       = 12
)

var icmpErrors = []byte{DestinationUnreachable, TimeExceeded, ParameterProblem}

// ResourceName is what the nftables table that the program owns is called among the resources.
const ResourceName = "table ip " + Name

// Name is the nftables table that the program owns, of family ip.
const Name = "mape"
