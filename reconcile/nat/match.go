package nat

import (
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
	"net/netip"

	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nft"
)

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

// SpecialPurpose are addresses that no host on the internet has (RFC 6890). Those of documentation are left out: packets to
// them tell a provider nothing of a network.
var SpecialPurpose = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("224.0.0.0/3"),
}

// specialSet has them in the table.
const specialSet = "special"

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
