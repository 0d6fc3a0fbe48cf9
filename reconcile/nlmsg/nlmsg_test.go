package nlmsg

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// TestValue: attributes end where one is broken, and padding does not belong to them.
func TestValue(t *testing.T) {
	whole, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: 1, Data: []byte("name\x00")}, {Type: 2, Data: []byte{1, 2}}, {Type: 3 | unix.NLA_F_NESTED, Data: []byte{8, 0, 4, 0, 0, 0, 1, 0}}, {Type: 2, Data: []byte{9}},
	})
	if err != nil {
		t.Fatal(err)
	}
	v := Value(whole)
	if got := fmt.Sprintln(v.Get(1).Text(), v.Get(2).Number(), v.Get(3).Get(4).Number(), v.Get(5) == nil); got != "name 258 256 true\n" {
		t.Error(got)
	}
	for length, want := range map[int]int{len(whole): 4, len(whole) - 3: 4, len(whole) - 4: 3, len(whole) - 5: 3, len(whole) - 8: 3, 20: 2, 17: 1, 12: 1, 11: 1, 8: 0, 3: 0, 0: 0} {
		n := 0
		for range v[:length].Attributes() {
			n++
		}
		if n != want {
			t.Errorf("%d bytes have %d attributes, want %d", length, n, want)
		}
	}
	for range (Value{3, 0, 1, 0, 0, 0, 0, 0}).Attributes() {
		t.Error("an attribute is shorter than its head")
	}
}

// TestSplit: what is received is never read beyond its end.
func TestSplit(t *testing.T) {
	message := func(data ...byte) []byte {
		b, err := netlink.Message{Header: netlink.Header{Length: uint32(16 + len(data)), Type: 16, Sequence: 7}, Data: data}.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	two := append(message(1, 2, 3, 4), message()...)
	m, rest, err := split(two)
	if err != nil || m.Header.Sequence != 7 || !slices.Equal(m.Data, []byte{1, 2, 3, 4}) || len(rest) != 16 {
		t.Error(m, rest, err)
	}
	for _, b := range [][]byte{nil, two[:15], two[:19], {15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}} {
		if _, _, err := split(b); !errors.Is(err, errShort) {
			t.Errorf("%v: %v", b, err)
		}
	}
}

// TestMeaning: any message of a list, the last included, may report that the list was interrupted.
func TestMeaning(t *testing.T) {
	for _, test := range []struct {
		m    netlink.Message
		data int
		want error
	}{
		{netlink.Message{Header: netlink.Header{Type: 16}, Data: []byte{1}}, 1, nil},
		{netlink.Message{Header: netlink.Header{Type: 16, Flags: netlink.DumpInterrupted}, Data: []byte{1}}, 1, ErrInterrupted},
		{netlink.Message{Header: netlink.Header{Type: netlink.Done, Flags: netlink.DumpInterrupted}, Data: make([]byte, 4)}, 0, ErrInterrupted},
		{netlink.Message{Header: netlink.Header{Type: netlink.Done}, Data: make([]byte, 4)}, 0, nil},
		{netlink.Message{Header: netlink.Header{Type: netlink.Error}, Data: []byte{0xfe, 0xff, 0xff, 0xff}}, 0, unix.ENOENT},
		{netlink.Message{Header: netlink.Header{Type: netlink.Error}, Data: []byte{0}}, 0, errShort},
	} {
		ends := test.m.Header.Type == netlink.Done || test.m.Header.Type == netlink.Error
		if answer, err := meaning(test.m, ends); len(answer) != test.data || !errors.Is(err, test.want) {
			t.Errorf("%+v: %v, %v, want %v", test.m, answer, err, test.want)
		}
	}
}

// TestAsk: errors of several requests come one by one, and the rest of an unfinished dump is not taken for an answer
// to the next request.
func TestAsk(t *testing.T) {
	conn, err := Dial(unix.NETLINK_ROUTE, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	link := func(index byte, flags netlink.HeaderFlags) netlink.Message {
		data := make([]byte, unix.SizeofIfInfomsg)
		data[4], data[7] = index, index&0x40 // far from any link there is
		return netlink.Message{Header: netlink.Header{Type: unix.RTM_GETLINK, Flags: flags}, Data: data}
	}
	for range 3 {
		got := ""
		for answer, err := range conn.Ask(link(0x7f, 0), link(1, 0), link(0x7e, 0)) {
			got += fmt.Sprint(answer.index(), " ", err, ", ")
		}
		if want := "0 no such device, 1 <nil>, 0 no such device, "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for answer, err := range conn.Ask(link(0, netlink.Dump)) {
		if answer.index() == 0 || err != nil {
			t.Error(answer, err)
		}
		break
	}
	for answer, err := range conn.Ask(link(1, 0)) {
		if answer.index() != 1 || err != nil {
			t.Error(answer.index(), err)
		}
	}
}

func (v Value) index() byte {
	if len(v) < unix.SizeofIfInfomsg {
		return 0
	}
	return v[4]
}
