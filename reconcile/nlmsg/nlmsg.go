// Package nlmsg sends netlink requests and reads the kernel's answers in place, without copies.
package nlmsg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
	"slices"
	"syscall"

	"github.com/mdlayher/netlink"
	vishvananda "github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Value is the value of an attribute: a number, a text, or attributes. A dump may have hundreds of thousands, so nothing is
// copied or put into a map.
type Value []byte

// Attributes yields the attributes in the value, by type, up to a malformed one.
func (v Value) Attributes() iter.Seq2[uint16, Value] {
	return func(yield func(uint16, Value) bool) {
		for b := v; len(b) >= unix.SizeofNlAttr; {
			length := int(binary.NativeEndian.Uint16(b))
			if length < unix.SizeofNlAttr || length > len(b) {
				return
			}
			const flags = unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER
			if !yield(binary.NativeEndian.Uint16(b[2:])&^flags, b[unix.SizeofNlAttr:length]) {
				return
			}
			b = b[min(Align(length), len(b)):]
		}
	}
}

// Get returns the first attribute of a type; nil where it is missing.
func (v Value) Get(kind uint16) Value {
	for k, value := range v.Attributes() {
		if k == kind {
			return value
		}
	}
	return nil
}

// Number is the value as a big-endian number of up to eight bytes, as netfilter sends them.
func (v Value) Number() (n uint64) {
	for _, b := range v {
		n = n<<8 | uint64(b)
	}
	return n
}

// Text is the value up to its first zero.
func (v Value) Text() string {
	text, _, _ := bytes.Cut(v, []byte{0})
	return string(text)
}

// Align rounds a length up to the beginning of the next message or attribute.
func Align(length int) int { return (length + 3) &^ 3 }

// Netfilter is a request to a subsystem of nfnetlink.
func Netfilter(subsystem, kind uint16, flags netlink.HeaderFlags, family byte, with ...netlink.Attribute) (netlink.Message, error) {
	attributes, err := netlink.MarshalAttributes(with)
	return netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(subsystem<<8 | kind), Flags: flags},
		Data:   append([]byte{family, unix.NFNETLINK_V0, 0, 0}, attributes...),
	}, err
}

// Family splits a message of nfnetlink into its family and its attributes.
func Family(message []byte) (byte, Value) {
	if len(message) < nl.SizeofNfgenmsg {
		return unix.NFPROTO_UNSPEC, nil
	}
	return message[0], message[nl.SizeofNfgenmsg:]
}

// A Conn is a netlink socket that reads all answers into the same buffer.
type Conn struct {
	*netlink.Conn
	raw    syscall.RawConn
	buffer []byte
}

// Dial opens a socket in the network namespace that a descriptor refers to; 0 is that of the calling thread.
func Dial(family, ns int) (*Conn, error) {
	conn, err := netlink.Dial(family, &netlink.Config{NetNS: ns})
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	// The kernel fills buffers as large as the last one that was read into, 32 KiB at most, and for each it seeks from the
	// beginning of the list: 5000 rules of nf_tables take 160 ms with buffers of a page and 30 ms with these.
	return &Conn{conn, raw, make([]byte, 1<<15)}, nil
}

// ErrInterrupted comes with an answer of a dump during which something changed.
var ErrInterrupted = vishvananda.ErrDumpInterrupted

// Ask sends the requests at once and yields their answers, each valid until the next. An answer with ErrInterrupted is
// valid, but the list may lack others. A caller that stops early leaves a dump unfinished, and can request no other dump on
// this connection.
func (c *Conn) Ask(requests ...netlink.Message) iter.Seq2[Value, error] {
	requests = slices.Clone(requests)
	for i := range requests {
		requests[i].Header.Flags |= netlink.Request
	}
	requests[len(requests)-1].Header.Flags |= netlink.Acknowledge // of the last alone: the others answer with what they request, and errors
	return func(yield func(Value, error) bool) {
		sent, err := c.SendMessages(requests)
		if err != nil {
			yield(nil, err)
			return
		}
		first, last := sent[0].Header.Sequence, sent[len(sent)-1].Header.Sequence
		for {
			b, err := c.receive()
			for len(b) > 0 && err == nil {
				var m netlink.Message
				if m, b, err = split(b); err != nil || m.Header.Sequence-first > last-first {
					continue // of an earlier request
				}
				ends := m.Header.Type == netlink.Done || m.Header.Type == netlink.Error
				answer, failed := meaning(m, ends)
				if (!ends || failed != nil) && !yield(answer, failed) || ends && m.Header.Sequence == last {
					return
				}
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

func (c *Conn) receive() (b []byte, err error) {
	n, failed := 0, error(nil)
	err = c.raw.Read(func(fd uintptr) bool {
		n, _, failed = unix.Recvfrom(int(fd), c.buffer, 0)
		return !errors.Is(failed, unix.EAGAIN) && !errors.Is(failed, unix.EINTR)
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	return c.buffer[:n], nil
}

var errShort = errors.New("short netlink message")

// split takes the first message off what was received.
func split(b []byte) (m netlink.Message, rest []byte, err error) {
	length := 0
	if len(b) >= unix.SizeofNlMsghdr {
		length = int(binary.NativeEndian.Uint32(b))
	}
	if length < unix.SizeofNlMsghdr || length > len(b) {
		return m, nil, errShort
	}
	m.Header.Type = netlink.HeaderType(binary.NativeEndian.Uint16(b[4:]))
	m.Header.Flags = netlink.HeaderFlags(binary.NativeEndian.Uint16(b[6:]))
	m.Header.Sequence = binary.NativeEndian.Uint32(b[8:])
	m.Data = b[unix.SizeofNlMsghdr:length]
	return m, b[min(Align(length), len(b)):], nil
}

// meaning decodes an answer. The message that ends one has the number of an error, or zero.
func meaning(m netlink.Message, ends bool) (answer Value, err error) {
	switch {
	case ends && len(m.Data) < 4:
		return nil, errShort
	case ends:
		if number := int32(binary.NativeEndian.Uint32(m.Data)); number != 0 {
			return nil, unix.Errno(-number)
		}
	default:
		answer = m.Data
	}
	if m.Header.Flags&netlink.DumpInterrupted != 0 {
		err = ErrInterrupted
	}
	return answer, err
}

// Unsupported reports whether an error is of those with which the kernel answers for a subsystem that it does not have.
func Unsupported(err error) bool {
	return errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)
}
