package events

import (
	"encoding/binary"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
)

// TestLastOn keeps nothing of a link that is gone.
func TestLastOn(t *testing.T) {
	r := newRouteEvents(&Listener{Wake: make(chan struct{}, 1), culprits: map[engine.Event]culprit{}})
	hear := func(kind netlink.HeaderType, data []byte) {
		binary.NativeEndian.PutUint32(data[4:], 7) // the index
		r.hear(netlink.Message{Header: netlink.Header{Type: kind}, Data: data})
	}
	address, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: unix.IFA_ADDRESS, Data: []byte{0x24, 15: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	address = append(make([]byte, unix.SizeofIfAddrmsg), address...)
	hear(unix.RTM_NEWLINK, make([]byte, unix.SizeofIfInfomsg))
	hear(unix.RTM_NEWADDR, address)
	hear(unix.RTM_NEWADDR, address)
	if len(r.known) != 3 {
		t.Errorf("it knows %q, want the link, its address and which was the last", r.known)
	}
	hear(unix.RTM_DELADDR, address)
	hear(unix.RTM_DELLINK, make([]byte, unix.SizeofIfInfomsg))
	if len(r.known) != 0 {
		t.Errorf("it still knows %q", r.known)
	}
}
