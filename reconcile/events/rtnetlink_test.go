package events

import (
	"encoding/binary"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// TestForgetsLink: nothing is kept of a link that is gone.
func TestForgetsLink(t *testing.T) {
	r := newRouteEvents(NewReports())
	receive := func(kind netlink.HeaderType, data []byte) {
		binary.NativeEndian.PutUint32(data[4:], 7) // the index
		r.receive(netlink.Message{Header: netlink.Header{Type: kind}, Data: data})
	}
	address, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: unix.IFA_ADDRESS, Data: []byte{0x24, 15: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	address = append(make([]byte, unix.SizeofIfAddrmsg), address...)
	receive(unix.RTM_NEWLINK, make([]byte, unix.SizeofIfInfomsg))
	receive(unix.RTM_NEWADDR, address)
	receive(unix.RTM_NEWADDR, address)
	if len(r.known) != 3 {
		t.Errorf("it knows %q, want the link, its address and the subnet", r.known)
	}
	receive(unix.RTM_DELADDR, address)
	receive(unix.RTM_DELLINK, make([]byte, unix.SizeofIfInfomsg))
	if len(r.known) != 0 {
		t.Errorf("it still knows %q", r.known)
	}
}
