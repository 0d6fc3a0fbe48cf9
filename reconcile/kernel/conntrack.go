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

// NatProtocols are what the NAT translates, in the order in which they are shown.
var NatProtocols = []uint8{ProtoTCP, ProtoUDP, ProtoICMP}

var ProtocolNames = map[uint8]string{ProtoICMP: "icmp", ProtoTCP: "tcp", ProtoUDP: "udp"}

// A Connection is an entry of the kernel's connection tracking, of family ip. Ports are as it has them: those of ours
// are numbers of the pool. An ICMP echo has its identifier for every port.
type Connection struct {
	Protocol uint8
	// src and dst are of the first packet as it came, the others of the answer as it is expected to come.
	Src, Dst, ReplySrc, ReplyDst netip.AddrPort
	Snat, Dnat                   bool // the source or the destination is translated
	Zoned                        bool // it is in a zone, where none of ours is
	Entry
}

// An Entry is what the kernel knows a connection by.
type Entry struct {
	Id       [4]byte
	Original []byte // the first packet's tuple, as the kernel wrote it
}

// ErrUntracked says that the kernel cannot list connections.
var ErrUntracked = errors.New("this kernel cannot list connections (does it have nf_conntrack_netlink?)")

// Connections shows each every IPv4 connection. What it is shown is only valid meanwhile: a table may have hundreds of
// thousands, which the libraries would hold all at once, and most are nobody's business here. One that begins or ends
// meanwhile may be missing, and with a growing table one may come twice.
//
// An error that wraps fs.ErrPermission says that the caller may not look, one that is errUntracked that nobody can.
func Connections(h *host.Host, each func(*Connection)) error {
	conn, err := nlmsg.Dial(unix.NETLINK_NETFILTER, h.NS)
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

// trackerError puts what the kernel says when ctnetlink is not in it into words.
func trackerError(err error) error {
	switch {
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: %w", ErrUntracked, err)
	}
	return fmt.Errorf("listing connections: %w", err)
}

// window is how many deletions are under way at once: as many errors have to fit into the socket's buffer.
const window = 64

// Forget deletes exactly these entries. One that ended by itself is gone too. An entry is named by its tuple and its
// number, so another one that took its place stays.
func Forget(h *host.Host, all []Entry) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("deleting connections: %w", err)
		}
	}()
	conn, err := nlmsg.Dial(unix.NETLINK_NETFILTER, h.NS)
	if err != nil {
		return err
	}
	defer conn.Close()
	var batch []netlink.Message
	for some := range slices.Chunk(all, window) {
		batch = batch[:0]
		for _, e := range some {
			tuple := netlink.Attribute{Type: nl.CTA_TUPLE_ORIG | unix.NLA_F_NESTED, Data: e.Original}
			m, err := nlmsg.Netfilter(unix.NFNL_SUBSYS_CTNETLINK, nl.IPCTNL_MSG_CT_DELETE, 0, unix.AF_INET, tuple, netlink.Attribute{Type: nl.CTA_ID, Data: e.Id[:]})
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
