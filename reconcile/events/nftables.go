package events

import (
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nlmsg"
)

// tableEvents reads the messages of nf_tables. A transaction is one message for each object that it changes ("flush
// ruleset" is one for each that there was), and then one that says which process made it.
type tableEvents struct {
	*Reports
	ours, others bool // touched in this transaction: our table, the rules of others
}

func (t *tableEvents) receive(m netlink.Message) {
	family, attributes := nlmsg.Family(m.Data)
	if m.Header.Type&0xff == unix.NFT_MSG_NEWGEN {
		if t.ours || t.others {
			t.commit(attributes)
		}
		t.ours, t.others = false, false
		return
	}
	const table = 1 // the first attribute of every kind of object: NFTA_TABLE_NAME, NFTA_RULE_TABLE …
	if family == unix.NFPROTO_IPV4 && attributes.Get(table).Text() == nat.Name {
		t.ours = true
		return
	}
	switch m.Header.Type & 0xff {
	case unix.NFT_MSG_DELTABLE, unix.NFT_MSG_NEWTABLE, unix.NFT_MSG_NEWCHAIN, unix.NFT_MSG_DELCHAIN, unix.NFT_MSG_NEWRULE, unix.NFT_MSG_DELRULE:
		t.others = true // Elements of sets come and go by the second.
	}
}

// commit reports a transaction that another process made.
func (t *tableEvents) commit(data nlmsg.Value) {
	pid, name := int(data.Get(unix.NFTA_GEN_PROC_PID).Number()), data.Get(unix.NFTA_GEN_PROC_NAME).Text()
	if isSelf(pid) {
		return
	}
	if t.others {
		t.rules.Store(true)
		notify(t.Unrelated)
	}
	if t.ours {
		t.record(engine.TableEvent, pid, name)
		notify(t.Table)
	}
}
