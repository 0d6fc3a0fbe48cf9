package nft

import (
	"encoding/binary"
	"errors"
	"iter"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// attrs are netlink attributes where they lie. There may be thousands of rules of others, with dozens of attributes
// each: nothing is copied, and no map made, for those that nobody asks for.
type attrs []byte

func (a attrs) all() iter.Seq2[uint16, attrs] {
	return func(yield func(uint16, attrs) bool) {
		for len(a) >= unix.NLA_HDRLEN {
			n := int(binary.NativeEndian.Uint16(a))
			if n < unix.NLA_HDRLEN || n > len(a) {
				return
			}
			kind := binary.NativeEndian.Uint16(a[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if !yield(kind, a[unix.NLA_HDRLEN:n]) {
				return
			}
			a = a[min((n+3)&^3, len(a)):]
		}
	}
}

func (a attrs) each(f func(uint16, attrs)) {
	for n, b := range a.all() {
		f(n, b)
	}
}

// get returns the first of a kind, nil where there is none.
func (a attrs) get(kind uint16) attrs {
	for n, b := range a.all() {
		if n == kind {
			return b
		}
	}
	return nil
}

func (a attrs) text() string { return unix.ByteSliceToString(a) }

func (a attrs) number() uint64 {
	switch len(a) {
	case 4:
		return uint64(binary.BigEndian.Uint32(a))
	case 8:
		return binary.BigEndian.Uint64(a)
	}
	return 0
}

// An exchange is a connection on which one answer after the other is read into the same buffer.
type exchange struct {
	conn   *netlink.Conn
	buffer []byte
}

func (c *Conn) exchange() (*exchange, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: c.netns})
	if err != nil {
		return nil, err
	}
	return &exchange{conn, make([]byte, 1<<15)}, nil // the most that the kernel fills
}

func (x *exchange) close() {
	if x != nil {
		x.conn.Close()
	}
}

// dump asks for all of a kind that is in what names say: a table, then a chain or a set of it.
func (x *exchange) dump(message uint16, family uint8, each func(family uint8, a attrs) error, names ...string) error {
	return x.ask(message, netlink.Dump, family, each, names...)
}

// ask shows each what is only valid meanwhile, and asks nothing else on this connection.
func (x *exchange) ask(message uint16, flags netlink.HeaderFlags, family uint8, each func(uint8, attrs) error, names ...string) error {
	var with []netlink.Attribute
	for i, n := range names {
		with = append(with, netlink.Attribute{Type: uint16(i + 1), Data: append([]byte(n), 0)})
	}
	data, err := netlink.MarshalAttributes(with)
	if err != nil {
		return err
	}
	var failed error
	err = x.execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | message), Flags: netlink.Request | netlink.Acknowledge | flags},
		Data:   append([]byte{family, unix.NFNETLINK_V0, 0, 0}, data...),
	}, func(m attrs) {
		switch {
		case failed != nil: // The rest has to be read all the same.
		case len(m) < 4:
			failed = errors.New("short netlink message")
		default:
			failed = each(m[0], m[4:])
		}
	})
	// What was there a moment ago may be gone.
	if errors.Is(err, unix.ENOENT) {
		err = nil
	}
	return errors.Join(failed, err)
}

// execute is netlink.Conn's with a large buffer. The kernel fills no larger ones than the last that it was given, and
// looks for the place to go on from the beginning each time: 5000 rules take 160 ms by the page and 30 ms like this.
func (x *exchange) execute(m netlink.Message, each func(attrs)) error {
	m, err := x.conn.Send(m)
	if err != nil {
		return err
	}
	raw, err := x.conn.SyscallConn()
	if err != nil {
		return err
	}
	for {
		n, failed := 0, error(nil)
		if err := raw.Read(func(fd uintptr) bool {
			n, _, failed = unix.Recvfrom(int(fd), x.buffer, 0)
			return !errors.Is(failed, unix.EAGAIN) && !errors.Is(failed, unix.EINTR)
		}); err != nil {
			return err
		}
		if failed != nil {
			return failed
		}
		if done, err := messages(x.buffer[:n], m.Header.Sequence, each); done || err != nil {
			return err
		}
	}
}

// messages splits what was received. done says that the answer to the request of that number has ended.
func messages(b []byte, number uint32, each func(attrs)) (done bool, err error) {
	for len(b) >= unix.NLMSG_HDRLEN {
		n := int(binary.NativeEndian.Uint32(b))
		if n < unix.NLMSG_HDRLEN || n > len(b) {
			return true, errors.New("short netlink message")
		}
		kind, data := binary.NativeEndian.Uint16(b[4:]), b[unix.NLMSG_HDRLEN:n]
		if binary.NativeEndian.Uint32(b[8:]) == number {
			switch kind {
			case unix.NLMSG_DONE, unix.NLMSG_ERROR:
				if len(data) >= 4 {
					if code := int32(binary.NativeEndian.Uint32(data)); code < 0 {
						return true, unix.Errno(-code)
					}
				}
				return true, nil
			}
			each(data)
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return false, nil
}

func (x *exchange) generation() (n uint64, err error) {
	err = x.ask(unix.NFT_MSG_GETGEN, 0, unix.NFPROTO_UNSPEC, func(_ uint8, a attrs) error {
		n = a.get(unix.NFTA_GEN_ID).number()
		return nil
	})
	return n, err
}
