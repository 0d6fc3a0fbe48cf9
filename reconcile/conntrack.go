package reconcile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// IP protocol numbers (IANA).
const (
	protoICMP = 1
	protoTCP  = 6
	protoUDP  = 17
)

// natProtocols are what the NAT translates, in the order in which they are shown.
var natProtocols = []uint8{protoTCP, protoUDP, protoICMP}

var protocolNames = map[uint8]string{protoICMP: "icmp", protoTCP: "tcp", protoUDP: "udp"}

// A connection is an entry of the kernel's connection tracking, of family ip. Ports are as it has them: those of ours
// are numbers of the pool. An ICMP echo has its identifier for every port.
type connection struct {
	protocol uint8
	// src and dst are of the first packet as it came, the others of the answer as it is expected to come.
	src, dst, replySrc, replyDst netip.AddrPort
	snat, dnat                   bool // the source or the destination is translated
	zoned                        bool // it is in a zone, where none of ours is
	entry
}

// An entry is what the kernel knows a connection by.
type entry struct {
	id       [4]byte
	original []byte // the first packet's tuple, as the kernel wrote it
}

// errUntracked says that the kernel cannot list connections.
var errUntracked = errors.New("this kernel cannot list connections (does it have nf_conntrack_netlink?)")

// connections shows each every IPv4 connection. What it is shown is only valid meanwhile: a table may have hundreds of
// thousands, which the libraries would hold all at once, and most are nobody's business here. One that begins or ends
// meanwhile may be missing, and with a growing table one may come twice.
//
// An error that wraps fs.ErrPermission says that the caller may not look, one that is errUntracked that nobody can.
func (h *Host) connections(each func(*connection)) error {
	t, err := openTracker()
	if err != nil {
		return err
	}
	defer t.close()
	return t.list(each)
}

// A tracker talks to ctnetlink in the network namespace of the thread that opened it.
type tracker struct {
	fd  int
	buf []byte
}

func openTracker() (*tracker, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, trackerError(err)
	}
	// The kernel fills dumps to 32 KiB where the reader takes as much.
	return &tracker{fd, make([]byte, 1<<16)}, nil
}

func (t *tracker) close() { unix.Close(t.fd) }

// trackerError puts what the kernel says when ctnetlink is not in it into words.
func trackerError(err error) error {
	switch {
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: %w", errUntracked, err)
	}
	return fmt.Errorf("listing connections: %w", err)
}

func (t *tracker) list(each func(*connection)) error {
	if err := t.send(appendMessage(nil, nl.IPCTNL_MSG_CT_GET, netlink.Dump, 0)); err != nil {
		return trackerError(err)
	}
	var c connection
	err := t.receive(func(m netlink.Header, data []byte) (last bool, err error) {
		switch m.Type {
		case netlink.Done:
			return true, nil
		case netlink.Error:
			return true, errorOf(data)
		}
		c = connection{}
		if c.parse(data) {
			each(&c)
		}
		return false, nil
	})
	if err != nil {
		return trackerError(err)
	}
	return nil
}

// window is how many deletions are under way at once: as many errors have to fit into the socket's buffer.
const window = 64

// forget deletes exactly these entries. One that ended by itself is gone too. An entry is named by its tuple and its
// number, so another one that took its place stays.
func (t *tracker) forget(all []entry) error {
	var batch []byte
	for some := range slices.Chunk(all, window) {
		batch = batch[:0]
		for i, e := range some {
			flags := netlink.HeaderFlags(0)
			if i == len(some)-1 {
				flags = netlink.Acknowledge // The others answer only when they fail.
			}
			tuple := attribute{nl.CTA_TUPLE_ORIG | unix.NLA_F_NESTED, e.original}
			batch = appendMessage(batch, nl.IPCTNL_MSG_CT_DELETE, flags, uint32(i), tuple, attribute{nl.CTA_ID, e.id[:]})
		}
		if err := t.send(batch); err != nil {
			return fmt.Errorf("deleting connections: %w", err)
		}
		var failed error
		err := t.receive(func(m netlink.Header, data []byte) (last bool, err error) {
			if err := errorOf(data); err != nil && !errors.Is(err, unix.ENOENT) {
				failed = err
			}
			return int(m.Sequence) == len(some)-1, nil
		})
		if err = errors.Join(err, failed); err != nil {
			return fmt.Errorf("deleting connections: %w", err)
		}
	}
	return nil
}

// An attribute of a netlink message.
type attribute struct {
	kind  uint16
	value []byte
}

// appendMessage appends a request to ctnetlink about IPv4.
func appendMessage(b []byte, kind uint16, flags netlink.HeaderFlags, sequence uint32, with ...attribute) []byte {
	length := unix.SizeofNlMsghdr + nl.SizeofNfgenmsg
	for _, a := range with {
		length += aligned(unix.SizeofNlAttr + len(a.value))
	}
	b = binary.NativeEndian.AppendUint32(b, uint32(length))
	b = binary.NativeEndian.AppendUint16(b, unix.NFNL_SUBSYS_CTNETLINK<<8|kind)
	b = binary.NativeEndian.AppendUint16(b, uint16(netlink.Request|flags))
	b = binary.NativeEndian.AppendUint32(b, sequence)
	b = append(b, 0, 0, 0, 0, unix.AF_INET, unix.NFNETLINK_V0, 0, 0)
	for _, a := range with {
		size := unix.SizeofNlAttr + len(a.value)
		b = binary.NativeEndian.AppendUint16(b, uint16(size))
		b = binary.NativeEndian.AppendUint16(b, a.kind)
		b = append(append(b, a.value...), make([]byte, aligned(size)-size)...)
	}
	return b
}

func (t *tracker) send(b []byte) error {
	return unix.Sendto(t.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// receive hands over what comes, message by message, until one is the last.
func (t *tracker) receive(each func(m netlink.Header, data []byte) (last bool, err error)) error {
	for {
		n, _, err := unix.Recvfrom(t.fd, t.buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if last, err := messages(t.buf[:n], each); last || err != nil {
			return err
		}
	}
}

// messages hands over those of what was received, until one is the last.
func messages(b []byte, each func(m netlink.Header, data []byte) (last bool, err error)) (last bool, err error) {
	for len(b) > 0 {
		length := 0
		if len(b) >= unix.SizeofNlMsghdr {
			length = int(binary.NativeEndian.Uint32(b))
		}
		if length < unix.SizeofNlMsghdr || length > len(b) {
			return true, errShort
		}
		m := netlink.Header{
			Type:     netlink.HeaderType(binary.NativeEndian.Uint16(b[4:])),
			Flags:    netlink.HeaderFlags(binary.NativeEndian.Uint16(b[6:])),
			Sequence: binary.NativeEndian.Uint32(b[8:]),
		}
		last, err := each(m, b[unix.SizeofNlMsghdr:length])
		if last || err != nil {
			return last, err
		}
		b = b[min(aligned(length), len(b)):]
	}
	return false, nil
}

var errShort = errors.New("short netlink message")

// errorOf is what an answer of the kernel says: nil is an acknowledgement.
func errorOf(data []byte) error {
	if len(data) < 4 {
		return errShort
	}
	if number := int32(binary.NativeEndian.Uint32(data)); number != 0 {
		return unix.Errno(-number)
	}
	return nil
}

// aligned rounds up to where the next message or attribute begins.
func aligned(length int) int { return (length + 3) &^ 3 }
