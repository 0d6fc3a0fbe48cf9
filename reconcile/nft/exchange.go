package nft

import (
	"errors"
	"fmt"
	"iter"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nlmsg"
)

// A Conn says which network namespace's tables are meant.
type Conn struct{ netns int }

// Open is for the namespace of the calling process. Nothing needs privilege before the first Read.
func Open() (*Conn, error) { return &Conn{}, nil }

// OpenNS is for the namespace that an open descriptor refers to.
func OpenNS(fd int) *Conn { return &Conn{fd} }

// An Exchange asks nf_tables one thing after the other.
type Exchange struct{ *nlmsg.Conn }

// Exchange begins one.
func (c *Conn) Exchange() (Exchange, error) {
	conn, err := nlmsg.Dial(unix.NETLINK_NETFILTER, c.netns)
	return Exchange{conn}, err
}

// An Answer has the attributes of something of a family.
type Answer struct {
	Family byte
	nlmsg.Value
}

// Ask yields the answers to a request, each valid until the next; none when nothing has that name. The names go into the
// attributes 1, 2, …: the table first, then what is in it. Where the ruleset changes meanwhile, the generation says so.
func (x Exchange) Ask(message uint16, flags netlink.HeaderFlags, family byte, names ...string) iter.Seq2[Answer, error] {
	return func(yield func(Answer, error) bool) {
		var with []netlink.Attribute
		for i, n := range names {
			with = append(with, netlink.Attribute{Type: uint16(i + 1), Data: append([]byte(n), 0)})
		}
		request, err := nlmsg.Netfilter(unix.NFNL_SUBSYS_NFTABLES, message, flags, family, with...)
		if err != nil {
			yield(Answer{}, err)
			return
		}
		for data, err := range x.Conn.Ask(request) {
			if errors.Is(err, unix.ENOENT) || errors.Is(err, nlmsg.ErrInterrupted) && data == nil {
				return
			}
			if errors.Is(err, nlmsg.ErrInterrupted) {
				err = nil
			}
			family, attributes := nlmsg.Family(data)
			if !yield(Answer{family, attributes}, err) {
				return
			}
		}
	}
}

// Generation changes with every transaction: the same before and after means that all dumps between saw one ruleset.
func (x Exchange) Generation() (n uint64, err error) {
	for a, failed := range x.Ask(unix.NFT_MSG_GETGEN, 0, unix.NFPROTO_UNSPEC) {
		n, err = a.Get(unix.NFTA_GEN_ID).Number(), failed
	}
	return n, err
}

// Explain says what errors mean that the kernel gives when nf_tables is not in it.
func Explain(err error) error {
	switch {
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w (does this kernel have nf_tables?)", err)
	}
	return err
}
