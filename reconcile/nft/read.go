package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A Conn says which network namespace's tables are meant.
type Conn struct{ netns int }

// Open is for the namespace of the calling process. Nothing needs privilege before the first Read.
func Open() (*Conn, error) { return &Conn{}, nil }

// OpenNS is for the namespace that an open descriptor refers to.
func OpenNS(fd int) *Conn { return &Conn{fd} }

// Read returns what the kernel has under that name in family ip; an absent table when it has nothing.
func Read(c *Conn, name string) (Table, error) { return c.explained(reader{name: name}) }

// ReadRules is Read without the elements of sets, which are most of a table.
func ReadRules(c *Conn, name string) (Table, error) {
	return c.explained(reader{name: name, rulesOnly: true})
}

func (c *Conn) explained(r reader) (Table, error) {
	t, err := c.read(r)
	if err != nil {
		return Table{}, fmt.Errorf("reading nftables: %w", explain(err))
	}
	return t, nil
}

// tries is how often a table is read again because the ruleset changed meanwhile.
const tries = 50

func (c *Conn) read(r reader) (Table, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: c.netns})
	if err != nil {
		return Table{}, err
	}
	defer conn.Close()
	r.conn = conn
	// A table takes several dumps, and between two of them the ruleset may be replaced. The generation number changes
	// with every transaction: the same before and after means that all dumps saw one ruleset.
	for try := range tries {
		before, err := r.generation()
		if err != nil {
			return Table{}, err
		}
		t, readErr := r.table()
		after, err := r.generation()
		if err != nil {
			return Table{}, err
		}
		if before == after {
			return t, readErr
		}
		time.Sleep(time.Duration(try) * time.Millisecond)
	}
	return Table{}, errBusy
}

var errBusy = errors.New("the ruleset changes faster than it can be read")

// outline returns the table without rules and elements, and the generation it is of.
func (c *Conn) outline(name string) (Table, uint64, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: c.netns})
	if err != nil {
		return Table{}, 0, err
	}
	defer conn.Close()
	r := reader{conn: conn, name: name, outline: true}
	generation, err := r.generation()
	if err != nil {
		return Table{}, 0, err
	}
	t, err := r.table()
	return t, generation, err
}

// explain says what errors mean that the kernel gives when nf_tables is not in it.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w (does this kernel have nf_tables?)", err)
	}
	return err
}

// A reader asks about one table.
type reader struct {
	conn      *netlink.Conn
	name      string
	outline   bool // leave rules and elements out
	rulesOnly bool // leave elements out
}

// attributes are those of a message, by type.
type attributes map[uint16][]byte

func parse(b []byte) (attributes, error) {
	list, err := netlink.UnmarshalAttributes(b)
	if err != nil {
		return nil, err
	}
	as := attributes{}
	for _, a := range list {
		as[a.Type&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER)] = a.Data
	}
	return as, nil
}

func (a attributes) text(n uint16) string { return unix.ByteSliceToString(a[n]) }

func (a attributes) number(n uint16) uint64 {
	switch b := a[n]; len(b) {
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	case 8:
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (a attributes) nested(n uint16) (attributes, error) { return parse(a[n]) }

// list returns the elements of a list attribute.
func (a attributes) list(n uint16) ([][]byte, error) {
	list, err := netlink.UnmarshalAttributes(a[n])
	var elements [][]byte
	for _, e := range list {
		elements = append(elements, e.Data)
	}
	return elements, err
}

// get sends a request and returns the answers. The names go into the attributes 1, 2, …: the table first, then what is
// in it.
func (r reader) get(message uint16, flags netlink.HeaderFlags, names ...string) ([]attributes, error) {
	var with []netlink.Attribute
	for i, n := range names {
		if n != "" {
			with = append(with, netlink.Attribute{Type: uint16(i + 1), Data: append([]byte(n), 0)})
		}
	}
	data, err := netlink.MarshalAttributes(with)
	if err != nil {
		return nil, err
	}
	replies, err := r.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | message), Flags: netlink.Request | flags},
		Data:   append([]byte{unix.NFPROTO_IPV4, unix.NFNETLINK_V0, 0, 0}, data...),
	})
	if err != nil {
		return nil, err
	}
	var answers []attributes
	for _, m := range replies {
		if len(m.Data) < 4 {
			return nil, errors.New("short netlink message")
		}
		a, err := parse(m.Data[4:])
		if err != nil {
			return nil, err
		}
		answers = append(answers, a)
	}
	return answers, nil
}

func (r reader) generation() (uint64, error) {
	answers, err := r.get(unix.NFT_MSG_GETGEN, 0)
	if err != nil || len(answers) == 0 {
		return 0, err
	}
	return answers[0].number(unix.NFTA_GEN_ID), nil
}
