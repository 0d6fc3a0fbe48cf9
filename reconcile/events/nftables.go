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
	touched bool // our table, in this transaction
}

func (t *tableEvents) receive(m netlink.Message) {
	family, attributes := nlmsg.Family(m.Data)
	if m.Header.Type&0xff == unix.NFT_MSG_NEWGEN {
		if t.touched {
			t.commit(attributes)
		}
		t.touched = false
		return
	}
	if family != unix.NFPROTO_IPV4 || t.touched {
		return
	}
	const table = 1 // the first attribute of every kind of object: NFTA_TABLE_NAME, NFTA_RULE_TABLE …
	t.touched = attributes.Get(table).Text() == nat.Name
}

// commit reports a transaction that another process made.
func (t *tableEvents) commit(data nlmsg.Value) {
	pid, name := int(data.Get(unix.NFTA_GEN_PROC_PID).Number()), data.Get(unix.NFTA_GEN_PROC_NAME).Text()
	if isSelf(pid) {
		return
	}
	t.record(engine.TableEvent, pid, name)
	notify(t.Table)
}
