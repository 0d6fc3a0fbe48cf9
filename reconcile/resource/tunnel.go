package resource

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	mdlayher "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/advice"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
)

const (
	// ignoreEncapLimit is IP6_TNL_F_IGN_ENCAP_LIMIT of linux/ip6_tunnel.h: no
	// Destination Options header. The limit's value does not say so: 0 is a
	// limit as well.
	ignoreEncapLimit = 0x1
	// settableFlags are the bits of IFLA_IPTUN_FLAGS that user space sets; the
	// kernel keeps capabilities of its own above them.
	settableFlags = 0x7f
)

// A Tunnel is the ipip6 link as the kernel has it. Without a Local it is
// absent.
type Tunnel struct {
	kernel.Tunnel
	Up  bool
	Odd string // what else the kernel has that Write would undo

	beside *Beside // in a live one that is to be deleted
}

// NoTunnel is the absence of a tunnel.
func NoTunnel(link string) Tunnel { return Tunnel{Tunnel: kernel.Tunnel{Link: link}} }

func (t Tunnel) Name() string { return "tunnel " + t.Link }

func (t Tunnel) Traits() engine.Traits { return engine.Traits{Makes: t.Link, Event: engine.LinkEvent} }

func (t Tunnel) Absent() engine.Resource { return NoTunnel(t.Link) }

// Restore also brings back what others had on the link.
func (t Tunnel) Restore(engine.Resource) []engine.Resource {
	if t.beside == nil {
		return []engine.Resource{t}
	}
	return []engine.Resource{t, *t.beside}
}

// Text uses the words of "ip -d link show".
func (t Tunnel) Text() string {
	if !t.Local.IsValid() {
		return ""
	}
	state := "down"
	if t.Up {
		state = "up"
	}
	return fmt.Sprintf("mode ipip6\nlocal %s\nremote %s\nhoplimit %d\nencaplimit %s\nmtu %d\nstate %s\n%s",
		t.Local, t.Remote, t.HopLimit, t.EncapLimitText(), t.MTU, state, t.Odd)
}

func (t Tunnel) Read(_ context.Context, h *host.Host) (engine.Resource, error) { return t.Live(h) }

// Live is Read, as a tunnel.
func (t Tunnel) Live(h *host.Host) (Tunnel, error) {
	live := NoTunnel(t.Link)
	link, err := kernel.LinkByName(h, t.Link)
	if link == nil {
		return live, err
	}
	tnl, ok := link.(*netlink.Ip6tnl)
	if !ok && !t.Local.IsValid() {
		return live, nil // Ours is absent: that is another program's.
	}
	if !ok {
		return live, advice.Advice{What: fmt.Sprintf("an interface of that name and of kind %s is there already", link.Type()), Do: "give the tunnel another name with mape.tunnel"}
	}
	live.Local, _ = netip.AddrFromSlice(tnl.Local)
	live.Remote, _ = netip.AddrFromSlice(tnl.Remote)
	live.HopLimit, live.EncapLimit = int(tnl.Ttl), int(tnl.EncapLimit)
	if tnl.Flags&ignoreEncapLimit != 0 {
		live.EncapLimit = -1
	}
	live.MTU, live.Up = tnl.MTU, tnl.Attrs().Flags&net.FlagUp != 0
	live.Odd = odd(tnl)
	if !t.Local.IsValid() {
		beside, err := Beside{Link: t.Link}.live(h)
		live.beside = &beside
		return live, err
	}
	return live, nil
}

// odd describes what Write does not set.
func odd(tnl *netlink.Ip6tnl) string {
	var b strings.Builder
	if tnl.Proto != unix.IPPROTO_IPIP {
		fmt.Fprintf(&b, "inner protocol %d\n", tnl.Proto)
	}
	if other := tnl.Flags & settableFlags &^ ignoreEncapLimit; other != 0 {
		fmt.Fprintf(&b, "flags 0x%x\n", other)
	}
	if tnl.FlowBased {
		b.WriteString("external\n")
	}
	if tnl.Tos != 0 || tnl.FlowInfo != 0 {
		fmt.Fprintf(&b, "tclass 0x%x flowinfo 0x%x\n", tnl.Tos, tnl.FlowInfo)
	}
	if tnl.EncapType != 0 {
		fmt.Fprintf(&b, "encap type %d\n", tnl.EncapType)
	}
	return b.String()
}

// Write makes or changes the link in place, so that its index, its routes and
// its counters stay; systemd 252 never changes a tunnel that exists.
func (t Tunnel) Write(_ context.Context, h *host.Host) error {
	link, err := kernel.LinkByName(h, t.Link)
	if err != nil {
		return err
	}
	if !t.Local.IsValid() {
		if link == nil {
			return nil
		}
		return h.Net.LinkDel(link)
	}
	// Where it is missing it is made, unless networkd, told by Write of its configuration, was faster.
	err = kernel.Change(h, unix.RTM_NEWLINK, mdlayher.Create, make([]byte, unix.SizeofIfInfomsg), t.attributes()...)
	if link == nil && errors.Is(err, unix.EOPNOTSUPP) {
		return errors.New(`the kernel has no ip6_tunnel; load the module with "sudo modprobe ip6_tunnel" (for a container, on its host), or boot a kernel that has it`)
	}
	if err != nil {
		return err
	}
	if link, err = h.Net.LinkByName(t.Link); err != nil {
		return err
	}
	if err := h.Net.LinkSetMTU(link, t.MTU); err != nil {
		return err
	}
	if t.Up {
		return h.Net.LinkSetUp(link)
	}
	return h.Net.LinkSetDown(link)
}

// attributes are those of the link to rtnetlink. The library's, which are for links of any kind, are 170 kB of a program.
func (t Tunnel) attributes() []mdlayher.Attribute {
	limit, flags := uint8(t.EncapLimit), uint32(0)
	if t.EncapLimit < 0 {
		limit, flags = 0, ignoreEncapLimit
	}
	data := nested(nl.IFLA_INFO_DATA,
		mdlayher.Attribute{Type: nl.IFLA_IPTUN_LOCAL, Data: t.Local.AsSlice()},
		mdlayher.Attribute{Type: nl.IFLA_IPTUN_REMOTE, Data: t.Remote.AsSlice()},
		mdlayher.Attribute{Type: nl.IFLA_IPTUN_TTL, Data: []byte{uint8(t.HopLimit)}},
		mdlayher.Attribute{Type: nl.IFLA_IPTUN_TOS, Data: []byte{0}},
		mdlayher.Attribute{Type: nl.IFLA_IPTUN_FLAGS, Data: nl.Uint32Attr(flags)},
		mdlayher.Attribute{Type: nl.IFLA_IPTUN_PROTO, Data: []byte{unix.IPPROTO_IPIP}},
		mdlayher.Attribute{Type: nl.IFLA_IPTUN_FLOWINFO, Data: nl.Uint32Attr(0)},
		mdlayher.Attribute{Type: nl.IFLA_IPTUN_ENCAP_LIMIT, Data: []byte{limit}},
		mdlayher.Attribute{Type: nl.IFLA_IPTUN_ENCAP_TYPE, Data: nl.Uint16Attr(0)})
	kind := mdlayher.Attribute{Type: nl.IFLA_INFO_KIND, Data: []byte("ip6tnl\x00")}
	return []mdlayher.Attribute{{Type: unix.IFLA_IFNAME, Data: append([]byte(t.Link), 0)}, nested(unix.IFLA_LINKINFO, kind, data)}
}

func nested(kind uint16, all ...mdlayher.Attribute) mdlayher.Attribute {
	data, err := mdlayher.MarshalAttributes(all)
	if err != nil {
		panic(err) // One is too long, and none is.
	}
	return mdlayher.Attribute{Type: kind, Data: data}
}
