package nft

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nlmsg"
)

// A Conn is the network namespace whose tables are read and written.
type Conn struct{ netns int }

// Open returns the namespace of the calling process. Privilege is needed from the first Read on.
func Open() (*Conn, error) { return &Conn{}, nil }

// OpenNS returns the namespace that an open descriptor refers to.
func OpenNS(fd int) *Conn { return &Conn{fd} }

// An Exchange is a socket for one request to nf_tables after the other.
type Exchange struct{ *nlmsg.Conn }

// Exchange opens one.
func (c *Conn) Exchange() (Exchange, error) {
	conn, err := nlmsg.Dial(unix.NETLINK_NETFILTER, c.netns)
	return Exchange{conn}, err
}

// An Answer is what nf_tables has of one thing: its family and its attributes.
type Answer struct {
	Family byte
	nlmsg.Value
}

// Ask yields the answers to a request, each valid until the next; for a name that does not exist, nothing and no error. The
// names go into the attributes 1, 2, …: the table first, then what is in it. An interrupted dump is not an error here:
// Consistent finds that by the generation.
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

// Consistent calls read until the ruleset is of the same generation before and after, tries times at most; ok is false
// where it changed each time. All dumps of read saw one ruleset then.
func (x Exchange) Consistent(tries int, read func() error) (ok bool, err error) {
	for try := range tries {
		before, err := x.Generation()
		if err != nil {
			return false, err
		}
		failed := read()
		after, err := x.Generation()
		if err != nil || before == after {
			return err == nil, errors.Join(failed, err)
		}
		time.Sleep(time.Duration(try) * time.Millisecond)
	}
	return false, nil
}

// Generation is the number of the ruleset, which changes with every transaction.
func (x Exchange) Generation() (n uint64, err error) {
	for a, failed := range x.Ask(unix.NFT_MSG_GETGEN, 0, unix.NFPROTO_UNSPEC) {
		n, err = a.Get(unix.NFTA_GEN_ID).Number(), failed
	}
	return n, err
}

// Explain adds to an error of a kernel without nf_tables what it means.
func Explain(err error) error {
	if nlmsg.Unsupported(err) {
		return fmt.Errorf("%w (does this kernel have nf_tables?)", err)
	}
	return err
}
