package reconcile

import (
	"encoding/binary"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// TestWatchHearsARivalAgain: the kernel says nothing of the routes that go with
// a link or an address, and one that comes back is news all the same.
func TestWatchHearsARivalAgain(t *testing.T) {
	w := newWatch(t, lineSection)
	w.says(t, 10*second, "CE "+ceOfLine)
	// Without IPv6: it hears late of whether an address of that is a duplicate.
	w.run(t, "sh", "-ec", "ip link add r0 type bridge; ip link set r0 addrgenmode none; ip link set r0 up; ip address add 172.31.0.1/24 dev r0")
	for _, d := range []struct{ what, gone, back string }{
		{"the link", "ip link set r0 down", "ip link set r0 up"},
		{"its address", "ip address del 172.31.0.1/24 dev r0", "ip address add 172.31.0.1/24 dev r0"},
	} {
		t.Run(d.what, func(t *testing.T) {
			for range 2 {
				w.calm(t)
				w.forget()
				w.run(t, "ip", "route", "prepend", "default", "via", "172.31.0.2")
				w.says(t, second, "<3>r0: "+errRival.Error())
				w.run(t, "sh", "-ec", d.gone)
				w.says(t, 2*second, "the line is there")
				w.run(t, "sh", "-ec", d.back)
			}
		})
	}
}

// TestLastOn keeps nothing of a link that is gone.
func TestLastOn(t *testing.T) {
	r := newRouteEvents(&events{wake: make(chan struct{}, 1), culprits: map[Event]culprit{}})
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
