package nft

import (
	"io"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nlmsg"
)

// nftaTableUserdata is NFTA_TABLE_USERDATA, which is not in package unix.
const nftaTableUserdata = 6

// transaction returns the messages that make live this table. The library sends them to a function and not to the kernel,
// because it cannot give a table a comment.
func (t Table) transaction(live Table, generation uint64) (messages []netlink.Message, err error) {
	conn, err := nftables.New(nftables.WithTestDial(func(sent []netlink.Message) ([]netlink.Message, error) {
		messages = append(messages, sent...)
		return nil, io.EOF
	}))
	if err == nil {
		err = t.batch(conn, live)
	}
	if err == nil {
		err = conn.FlushWithGenID(uint32(generation))
	}
	for i := range messages {
		h := &messages[i].Header
		// The library has each rule sent back, and many of them overrun a socket that nothing reads from.
		*h = netlink.Header{Type: h.Type, Flags: h.Flags &^ netlink.Echo}
		if h.Type == unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWTABLE && t.Comment != "" {
			attribute, err := netlink.MarshalAttributes([]netlink.Attribute{
				{Type: nftaTableUserdata, Data: userdata.AppendString(nil, userdata.TypeComment, t.Comment)},
			})
			if err != nil {
				return nil, err
			}
			messages[i].Data = append(messages[i].Data, attribute...)
		}
	}
	return messages, err
}

// comment is that of a table, "" where its user data, which may be any program's, is something else.
func comment(data nlmsg.Value) string {
	if len(data) < 3 || data[0] != byte(userdata.TypeComment) || int(data[1]) != len(data)-2 {
		return ""
	}
	return data[2:].Text()
}

// commit sends a transaction. The kernel answers before that returns: with the first error, or for the last message but
// the one that ends the transaction, that there is none.
func (c *Conn) commit(messages []netlink.Message) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: c.netns})
	if err != nil {
		return err
	}
	defer conn.Close()
	size := 0
	for _, m := range messages {
		size += unix.NLMSG_HDRLEN + nlmsg.Align(len(m.Data))
	}
	if now, err := conn.WriteBuffer(); err == nil && now < size {
		if err := conn.SetWriteBuffer(size); err != nil {
			return err
		}
	}
	messages[len(messages)-2].Header.Flags |= netlink.Acknowledge
	if _, err := conn.SendMessages(messages); err != nil {
		return err
	}
	_, err = conn.Receive()
	return err
}
