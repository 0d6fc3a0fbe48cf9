package events

import (
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nlmsg"
)

// ruleEvents are the messages of nf_tables that name our table, "flush ruleset"
// being one for each thing that there was. At the end of a transaction comes
// who made it.
type ruleEvents struct {
	*Listener
	touched bool // in this transaction
}

func (r *ruleEvents) hear(m netlink.Message) {
	family, attributes := nlmsg.Family(m.Data)
	if m.Header.Type&0xff == unix.NFT_MSG_NEWGEN {
		if r.touched {
			r.end(attributes)
		}
		r.touched = false
		return
	}
	if family != unix.NFPROTO_IPV4 || r.touched {
		return
	}
	// Whatever it is about, its first attribute is the name of the table.
	const table = 1
	r.touched = attributes.Get(table).Text() == nat.Name
}

// end wakes, unless the transaction was our own.
func (r *ruleEvents) end(data nlmsg.Value) {
	pid, name := int(data.Get(unix.NFTA_GEN_PROC_PID).Number()), data.Get(unix.NFTA_GEN_PROC_NAME).Text()
	if own(pid) {
		return
	}
	r.blame(engine.TableEvent, pid, name)
	tell(r.Hurry)
}
