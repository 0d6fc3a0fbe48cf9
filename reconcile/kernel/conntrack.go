package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/nlmsg"
)

// IP protocol numbers (IANA).
const (
	ProtoICMP = 1
	ProtoTCP  = 6
	ProtoUDP  = 17
)

// NATProtocols are what the NAT translates, in the order in which they are shown.
var NATProtocols = []uint8{ProtoTCP, ProtoUDP, ProtoICMP}

// ProtocolNames has the names of NATProtocols.
var ProtocolNames = map[uint8]string{ProtoICMP: "icmp", ProtoTCP: "tcp", ProtoUDP: "udp"}

// A Connection is an entry of the kernel's connection tracking, of family ip. Ports are as it has them: those of ours
// are numbers of the pool. An ICMP echo has its identifier for every port.
type Connection struct {
	Protocol uint8
	// Src and Dst are of the first packet as it arrived, ReplySrc and ReplyDst of the answers as they are expected.
	Src, Dst, ReplySrc, ReplyDst netip.AddrPort
	SNAT, DNAT                   bool // the source or the destination is translated
	Zoned                        bool // in a zone: none of ours
	Entry
}

// An Entry identifies a connection to the kernel.
type Entry struct {
	ID       [4]byte
	Original []byte // the first packet's tuple, as the kernel wrote it
}

// ErrUntracked: the kernel cannot list connections.
var ErrUntracked = errors.New("this kernel cannot list connections (does it have nf_conntrack_netlink?)")

// Connections calls each with every IPv4 connection, which is valid only during the call: a table may have hundreds of
// thousands, and the libraries would hold all of them at once. A connection that begins or ends meanwhile may be missing,
// and while the kernel grows its table one may be listed twice.
//
// The error wraps fs.ErrPermission where the caller lacks privilege, and ErrUntracked where the kernel cannot list
// connections.
func Connections(h *host.Host, each func(*Connection)) error {
	conn, err := h.Dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return trackerError(err)
	}
	defer conn.Close()
	request, err := nlmsg.Netfilter(unix.NFNL_SUBSYS_CTNETLINK, nl.IPCTNL_MSG_CT_GET, netlink.Dump, unix.AF_INET)
	if err != nil {
		return err
	}
	var c Connection
	for answer, err := range conn.Ask(request) {
		if err != nil {
			return trackerError(err)
		}
		c = Connection{}
		if c.parse(answer) {
			each(&c)
		}
	}
	return nil
}

// trackerError explains the errors of a kernel without ctnetlink.
func trackerError(err error) error {
	if nlmsg.Unsupported(err) {
		return fmt.Errorf("%w: %w", ErrUntracked, err)
	}
	return fmt.Errorf("listing connections: %w", err)
}

// window is how many deletions are requested at once: as many errors have to fit into the socket's buffer.
const window = 64

// Forget deletes exactly these entries. One that is gone already is not an error. An entry is identified by its tuple and
// its number, so another one that took its place stays.
func Forget(h *host.Host, all []Entry) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("deleting connections: %w", err)
		}
	}()
	conn, err := h.Dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer conn.Close()
	var batch []netlink.Message
	for some := range slices.Chunk(all, window) {
		batch = batch[:0]
		for _, e := range some {
			tuple := netlink.Attribute{Type: nl.CTA_TUPLE_ORIG | unix.NLA_F_NESTED, Data: e.Original}
			m, err := nlmsg.Netfilter(unix.NFNL_SUBSYS_CTNETLINK, nl.IPCTNL_MSG_CT_DELETE, 0, unix.AF_INET, tuple, netlink.Attribute{Type: nl.CTA_ID, Data: e.ID[:]})
			if err != nil {
				return err
			}
			batch = append(batch, m)
		}
		var failed error
		for _, err := range conn.Ask(batch...) {
			if err != nil && !errors.Is(err, unix.ENOENT) {
				failed = err
			}
		}
		if failed != nil {
			return failed
		}
	}
	return nil
}

// Of linux/netfilter/nfnetlink_conntrack.h and nf_conntrack_common.h: the libraries lack these.
const (
	ctaTupleZone   = 3
	ctaProtoICMPID = 4
	ipsSrcNAT      = 1 << 4
	ipsDstNAT      = 1 << 5
)

// parse decodes an entry; false for one that is not of IPv4 or incomplete.
func (c *Connection) parse(data []byte) bool {
	family, attributes := nlmsg.Family(data)
	if family != unix.AF_INET {
		return false
	}
	status := uint64(0)
	for kind, value := range attributes.Attributes() {
		switch kind {
		case nl.CTA_TUPLE_ORIG:
			c.Original = value
			c.Src, c.Dst = c.tuple(value)
		case nl.CTA_TUPLE_REPLY:
			c.ReplySrc, c.ReplyDst = c.tuple(value)
		case nl.CTA_STATUS:
			status = value.Number()
		case nl.CTA_ID:
			copy(c.ID[:], value)
		case nl.CTA_ZONE:
			c.Zoned = true
		}
	}
	c.SNAT, c.DNAT = status&ipsSrcNAT != 0, status&ipsDstNAT != 0
	return c.Src.IsValid() && c.Dst.IsValid() && c.ReplySrc.IsValid() && c.ReplyDst.IsValid()
}

// tuple decodes one direction. The identifier of an ICMP echo is both its ports.
func (c *Connection) tuple(data nlmsg.Value) (src, dst netip.AddrPort) {
	var from, to netip.Addr
	var sport, dport uint16
	for kind, value := range data.Attributes() {
		switch kind {
		case nl.CTA_TUPLE_IP:
			for kind, value := range value.Attributes() {
				switch kind {
				case nl.CTA_IP_V4_SRC:
					from, _ = netip.AddrFromSlice(value)
				case nl.CTA_IP_V4_DST:
					to, _ = netip.AddrFromSlice(value)
				}
			}
		case nl.CTA_TUPLE_PROTO:
			for kind, value := range value.Attributes() {
				switch kind {
				case nl.CTA_PROTO_NUM:
					c.Protocol = uint8(value.Number())
				case nl.CTA_PROTO_SRC_PORT:
					sport = uint16(value.Number())
				case nl.CTA_PROTO_DST_PORT:
					dport = uint16(value.Number())
				case ctaProtoICMPID:
					sport, dport = uint16(value.Number()), uint16(value.Number())
				}
			}
		case ctaTupleZone:
			c.Zoned = true
		}
	}
	return netip.AddrPortFrom(from, sport), netip.AddrPortFrom(to, dport)
}
