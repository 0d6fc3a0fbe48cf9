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

// Name is the nftables table that the program owns, of family ip.
const Name = "mape"

// ResourceName is what the table is called among the resources.
const ResourceName = "table ip " + Name

// Maps between the pool, which connection tracking sees, and the real ports, which the line sees.
const (
	toReal = "real"
	toPool = "pool"
)

// Chains that others jump or go to.
const (
	errorInChain  = "error-in"
	errorOutChain = "error-out"
	forwardsChain = "forwards"
	hairpinChain  = "hairpin"
)

// A Config is what table ip mape is made of.
type Config struct {
	Tunnel    string               // interface name
	Address   netip.Prefix         // the shared address, or a prefix that is not shared
	Ports     []softwire.PortRange // of the port set, ascending
	MTU       int                  // of the tunnel, bytes; 0: segment sizes stay as they are
	Forwards  []schema.Forward     // every port of them in Ports
	Inbound   string               // "accept" leaves new connections from the internet to other tables; all else drops them
	Conntrack schema.Conntrack
}

// Table compiles table ip mape: guard, NAT and MSS clamp. The pool is Config.Pool's.
//
// Packets of other interfaces cost one comparison in each chain that they meet, of the link's type: comparing a name takes
// three times as many instructions, 235 (TestCost). Packets of the tunnel cost one look-up. The tunnel is matched by name,
// because the table is there before it, but TCP's data does not pay for that. All policies are accept and the last rule
// drops: a policy of drop would drop every packet of the machine if the rules before it were flushed.
func Table(c Config, p Pool) nft.Table {
	n := natTable{
		tun: kernel.IfName(c.Tunnel), address: c.Address, mtu: c.MTU, Pool: p, forwards: c.Forwards,
		accept: c.Inbound == "accept",
	}
	t := nft.Table{Name: Name, Timeouts: timeouts(c.Conntrack), Chains: []nft.Chain{
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
		t.Sets = append(t.Sets, n.countSets()...)
		t.Chains = append(t.Chains, n.counting(), n.drawing(), n.countingPart())
	}
	return t
}

// A natTable has what the chains are compiled from.
type natTable struct {
	Pool
	tun      []byte
	address  netip.Prefix
	mtu      int
	forwards []schema.Forward
	accept   bool // new connections from the internet without a forward are left to other tables
}

var (
	// tunnelType is the type of an ip6tnl link, ARPHRD_TUNNEL6.
	tunnelType = binaryutil.NativeEndian.PutUint16(unix.ARPHRD_TUNNEL6)

	icmp = nft.Is(nft.L4Proto, []byte{kernel.ProtoICMP})
	tcp  = nft.Is(nft.L4Proto, []byte{kernel.ProtoTCP})
	udp  = nft.Is(nft.L4Proto, []byte{kernel.ProtoUDP})

	// established matches packets of connections that exist and ICMP errors about them; not new, invalid and untracked ones.
	established = ctState(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)
	related     = ctState(expr.CtStateBitRELATED)
	// untracked matches packets without a connection: NAT never sees them.
	untracked = ctState(expr.CtStateBitINVALID | expr.CtStateBitUNTRACKED)
	// forwarded matches packets of connections whose destination was translated.
	forwarded = nft.Has(nft.CtStatus, binaryutil.NativeEndian.PutUint32(1<<5)) // IPS_DST_NAT
	// confirmed matches packets of connections that are entered already: all but the first.
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

// ICMP types.
const (
	echoReply              = 0
	destinationUnreachable = 3
	echoRequest            = 8
	timeExceeded           = 11
	parameterProblem       = 12
)

// icmpErrors pass the tunnel. Redirects, and source quench, which is deprecated (RFC 6633), do not.
var icmpErrors = []byte{destinationUnreachable, timeExceeded, parameterProblem}
