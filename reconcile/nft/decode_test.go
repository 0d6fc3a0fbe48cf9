package nft

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nlmsg"
)

// TestDecodeAnything: whatever the kernel's messages hold, and however short it is, a text comes of it.
func TestDecodeAnything(t *testing.T) {
	var messages []nlmsg.Value
	add := func(b []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, b)
	}
	for _, c := range sample().Chains {
		for _, r := range c.Rules {
			for _, e := range r {
				add(expr.Marshal(unix.NFPROTO_IPV4, e))
			}
		}
	}
	nested := func(kind uint16, data ...byte) netlink.Attribute {
		value, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: unix.NFTA_DATA_VALUE, Data: data}})
		if err != nil {
			t.Fatal(err)
		}
		return netlink.Attribute{Type: kind, Data: value}
	}
	add(netlink.MarshalAttributes([]netlink.Attribute{
		nested(unix.NFTA_SET_ELEM_KEY, 7, 208), nested(unix.NFTA_SET_ELEM_DATA, 192, 168, 1, 10, 0, 22, 0, 0), {Type: unix.NFTA_SET_ELEM_FLAGS, Data: []byte{0, 0, 0, 1}},
	}))
	for _, o := range sample().Timeouts {
		object := o.object(&nftables.Table{})
		data, err := expr.MarshalExprData(unix.NFPROTO_IPV4, object.Obj.(*expr.CtTimeout))
		if err != nil {
			t.Fatal(err)
		}
		add(netlink.MarshalAttributes([]netlink.Attribute{
			{Type: unix.NFTA_OBJ_NAME, Data: []byte("o\x00")}, {Type: unix.NFTA_OBJ_TYPE, Data: []byte{0, 0, 0, unix.NFT_OBJECT_CT_TIMEOUT}}, {Type: unix.NFTA_OBJ_DATA, Data: data},
		}))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		b := slices.Clone(messages[random.IntN(len(messages))])
		for range 1 + random.IntN(3) {
			switch at := random.IntN(len(b)); random.IntN(3) {
			case 0:
				b[at] = byte(random.Uint32())
			case 1:
				shorten(b, random)
			case 2:
				b = b[:max(at, 1)]
			}
		}
		decodeAll(b)
	}
}

// shorten cuts the end off an attribute, on the way down from the first ones: a length changed at random would hardly ever
// be one of theirs.
func shorten(b nlmsg.Value, random *rand.Rand) {
	for len(b) >= unix.SizeofNlAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofNlAttr || n > len(b) {
			return
		}
		switch random.IntN(3) {
		case 0:
			binary.NativeEndian.PutUint16(b, uint16(unix.SizeofNlAttr+random.IntN(n-unix.SizeofNlAttr+1)))
			return
		case 1:
			b = b[unix.SizeofNlAttr:n]
		case 2:
			b = b[min(nlmsg.Align(n), len(b)):]
		}
	}
}

func decodeAll(b nlmsg.Value) {
	e := []expr.Any{expression(b)}
	NewRule(e).OnlyDrops()
	_ = NewRule(e).String() + NewRule(e, Is(TCPDport, Port(1)), e).String() + comment(b)
	for _, s := range []Set{HostMap(""), EndpointMap(""), PortMap("", nil), PrefixSet(""), {Key: nftables.TypeIFName, Ranges: true}} {
		s.Elements = []Element{decodeElement(b), decodeElement(b)}
		if s.Ranges {
			s.Elements = joined(s.Elements)
		}
		for _, e := range s.Elements {
			e.Endpoint()
		}
		_ = Table{Name: "t", Sets: []Set{s}}.Text()
	}
	if o, ok := timeout(b); ok {
		_ = Table{Name: "t", Timeouts: []Timeout{o}}.Text()
	}
}
