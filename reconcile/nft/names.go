package nft

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

var (
	protocols = map[byte]string{unix.IPPROTO_ICMP: "icmp", unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp"}

	icmpTypes = map[byte]string{
		0: "echo-reply", 3: "destination-unreachable", 8: "echo-request", 11: "time-exceeded", 12: "parameter-problem",
	}

	// rejects are the codes of ICMP destination unreachable.
	rejects = map[byte]string{2: "prot-unreachable", 3: "port-unreachable", 13: "admin-prohibited"}

	ctStates = []bit{
		{expr.CtStateBitINVALID, "invalid"}, {expr.CtStateBitESTABLISHED, "established"}, {expr.CtStateBitRELATED, "related"},
		{expr.CtStateBitNEW, "new"}, {expr.CtStateBitUNTRACKED, "untracked"},
	}
	ctStatuses = []bit{{1, "expected"}, {2, "seen-reply"}, {4, "assured"}, {8, "confirmed"}, {16, "snat"}, {32, "dnat"}, {512, "dying"}}
	tcpFlags   = []bit{{1, "fin"}, {2, "syn"}, {4, "rst"}, {8, "psh"}, {16, "ack"}, {32, "urg"}, {64, "ecn"}, {128, "cwr"}}
)

// linkType renders an ARPHRD number; ipip6 is what nft calls that of an ip6tnl.
func linkType(b []byte) string {
	if len(b) != 2 {
		return hex(b)
	}
	switch n := binaryutil.NativeEndian.Uint16(b); n {
	case unix.ARPHRD_TUNNEL6:
		return "ipip6"
	case unix.ARPHRD_ETHER:
		return "ether"
	default:
		return fmt.Sprint(n)
	}
}

type bit struct {
	value uint32
	name  string
}

func names(of map[byte]string) func([]byte) string {
	return func(b []byte) string {
		if len(b) != 1 {
			return hex(b)
		}
		if name := of[b[0]]; name != "" {
			return name
		}
		return fmt.Sprint(b[0])
	}
}

// flags renders bits; order is nil for a single byte.
func flags(order binaryutil.ByteOrder, bits []bit) func([]byte) string {
	return func(b []byte) string {
		var v uint32
		switch {
		case order == nil && len(b) == 1:
			v = uint32(b[0])
		case order != nil && len(b) == 4:
			v = order.Uint32(b)
		default:
			return hex(b)
		}
		var set []string
		for _, bit := range bits {
			if v&bit.value != 0 {
				set = append(set, bit.name)
				v &^= bit.value
			}
		}
		if v != 0 || len(set) == 0 {
			set = append(set, fmt.Sprintf("0x%x", v))
		}
		return strings.Join(set, ",")
	}
}

// ifname renders an interface name: padded with zeros to 16 bytes where all of it is compared, shorter for a "eth*".
func ifname(b []byte) string {
	name := strings.TrimRight(string(b), "\x00")
	if len(name) == len(b) {
		name += "*"
	}
	return fmt.Sprintf("%q", name)
}

// zero reports whether b has no bit set.
func zero(b []byte) bool { return !slices.ContainsFunc(b, func(x byte) bool { return x != 0 }) }

// Port is a port as rules and elements hold it.
func Port(p uint16) []byte { return binary.BigEndian.AppendUint16(nil, p) }

func toPort(b []byte) uint16 { return binary.BigEndian.Uint16(b) }

// portText and addressText show bytes where a value has another length: the kernel compares any number of them.
func portText(b []byte) string {
	if len(b) != 2 {
		return hex(b)
	}
	return fmt.Sprint(toPort(b))
}

func addressText(b []byte) string {
	a, ok := netip.AddrFromSlice(b)
	if !ok {
		return hex(b)
	}
	return a.String()
}

func hex(b []byte) string { return fmt.Sprintf("0x%x", b) }

// hostNumber renders a number in the machine's own byte order.
func hostNumber(b []byte) string {
	if len(b) != 4 {
		return hex(b)
	}
	return fmt.Sprint(binary.NativeEndian.Uint32(b))
}
