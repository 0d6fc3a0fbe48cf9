package reconcile

import (
	"encoding/binary"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// ruleEvents are the messages of nf_tables that name our table, "flush ruleset"
// being one for each thing that there was. At the end of a transaction comes
// who made it.
type ruleEvents struct {
	*events
	touched bool // in this transaction
}

func (r *ruleEvents) hear(m netlink.Message) {
	const header = 4 // nfgenmsg: the family first
	if len(m.Data) < header {
		return
	}
	if m.Header.Type&0xff == unix.NFT_MSG_NEWGEN {
		if r.touched {
			r.end(m.Data[header:])
		}
		r.touched = false
		return
	}
	if m.Data[0] != unix.NFPROTO_IPV4 || r.touched {
		return
	}
	// Whatever it is about, its first attribute is the name of the table.
	for kind, value := range attributes(m.Data[header:]) {
		const table = 1
		r.touched = r.touched || kind == table && unix.ByteSliceToString(value) == tableName
	}
}

// end wakes, unless the transaction was our own.
func (r *ruleEvents) end(data []byte) {
	pid, name := 0, ""
	for kind, value := range attributes(data) {
		switch kind {
		case unix.NFTA_GEN_PROC_PID:
			if len(value) == 4 {
				pid = int(binary.BigEndian.Uint32(value))
			}
		case unix.NFTA_GEN_PROC_NAME:
			name = unix.ByteSliceToString(value)
		}
	}
	if own(pid) {
		return
	}
	r.blame(TableEvent, pid, name)
	tell(r.hurry)
}
