package resource

import (
	"net/netip"
	"testing"

	mdlayher "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/kernel"
)

// TestTunnelAttributes: the library reads from our message the link that it would make. Most kernels of those who run the
// tests have no ip6_tunnel.
func TestTunnelAttributes(t *testing.T) {
	for limit, flags := range map[int]uint32{-1: ignoreEncapLimit, 0: 0, 4: 0} {
		tunnel := Tunnel{Tunnel: kernel.Tunnel{
			Link: "mape0", Local: netip.MustParseAddr("2001:db8::1"), Remote: netip.MustParseAddr("2001:db8::2"), HopLimit: 64, EncapLimit: limit,
		}}
		attributes, err := mdlayher.MarshalAttributes(tunnel.attributes())
		if err != nil {
			t.Fatal(err)
		}
		link, err := netlink.LinkDeserialize(nil, append(make([]byte, unix.SizeofIfInfomsg), attributes...))
		if err != nil {
			t.Fatal(err)
		}
		tnl, ok := link.(*netlink.Ip6tnl)
		if !ok || tnl.Name != "mape0" || !tnl.Local.Equal(tunnel.Local.AsSlice()) || !tnl.Remote.Equal(tunnel.Remote.AsSlice()) ||
			tnl.Ttl != 64 || tnl.Flags != flags || int(tnl.EncapLimit) != max(limit, 0) || odd(tnl) != "" {
			t.Errorf("limit %d: %+v", limit, link)
		}
	}
}
