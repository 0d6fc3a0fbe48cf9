package resource

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/mdlayher/netlink"
	vishvananda "github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nlmsg"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/reconcile/translator"
)

// A Translator is MAP-T's two programs: on what leaves by the tunnel, behind the Egress, and on what comes in by the WAN.
type Translator struct {
	Tunnel, WAN string
	Values      translator.Translator // the zero value is absent
	Version     string                // of the programs
	Odd         string                // what the kernel has in their places
}

// TranslatorOf is the translator of a softwire whose carrier is one. The WAN's MTU is in bytes, 0 for one that is not known.
func TranslatorOf(tunnel, wan string, mtu int, s softwire.Softwire) Translator {
	if mtu == 0 {
		mtu = 1500
	}
	return Translator{Tunnel: tunnel, WAN: wan, Version: translator.Version(), Values: translator.Translator{
		CE: s.CE(), IPv4: s.Inner.Masked().Addr(), DMR: s.Carrier.FarEnd(), MTU: min(max(mtu, 1280), 65535),
		PSID: s.Ports.PSID, PSIDLen: s.Ports.PSIDLen, PSIDOffset: s.Ports.PSIDOffset,
	}}
}

func (t Translator) Name() string { return "translator " + t.Tunnel }

func (t Translator) Traits() engine.Traits {
	return engine.Traits{Link: t.Tunnel, Event: engine.FilterEvent}
}

func (t Translator) Absent() engine.Resource { return Translator{Tunnel: t.Tunnel} }

func (t Translator) present() bool { return t.Values != translator.Translator{} }

func (t Translator) Text() string {
	if !t.present() {
		return t.Odd
	}
	v := t.Values
	var b strings.Builder
	fmt.Fprintf(&b, "ce %s\nipv4 %s", v.CE, v.IPv4)
	if v.PSIDLen > 0 {
		fmt.Fprintf(&b, ", PSID %d of %d bits, offset %d", v.PSID, v.PSIDLen, v.PSIDOffset)
	}
	fmt.Fprintf(&b, "\ndmr %s\nwan %s, mtu %d\nprogram %s\n%s", v.DMR, t.WAN, v.MTU, t.Version, t.Odd)
	return b.String()
}

// A program is one that the kernel has on a link, by a filter of our preference and handle.
type program struct {
	link      int
	parent    uint32
	name, tag string
}

func (p program) out() bool { return p.parent == vishvananda.HANDLE_MIN_EGRESS }

// Read looks on every link that can have filters: the WAN may have been another one.
func (t Translator) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	live := Translator{Tunnel: t.Tunnel}
	found, err := t.programs(h)
	if err != nil {
		return live, err
	}
	var places []string
	for _, p := range found {
		link, err := h.Net.LinkByIndex(p.link)
		if err != nil {
			continue // It has gone meanwhile.
		}
		name := link.Attrs().Name
		version, values, place, ours := p.constants()
		switch {
		case !ours || live.present() && (values != live.Values || version != live.Version):
			live.Odd += fmt.Sprintf("another program on %s\n", name)
			continue
		case !p.out():
			live.WAN = name
		}
		places = append(places, name)
		live.Values, live.Version = values, version
		if want, err := placeOf(h, t.Tunnel, live.WAN); err != nil || place != want {
			live.Odd += fmt.Sprintf("the program on %s is for other interfaces\n", name)
		}
	}
	if live.present() && !slices.Equal(places, []string{live.WAN, t.Tunnel}) {
		live.Odd += fmt.Sprintf("only on %s\n", strings.Join(places, ", "))
	}
	return live, nil
}

func placeOf(h *host.Host, tunnel, wan string) (p translator.Place, err error) {
	t, err := linkOf(h, tunnel, true)
	if err != nil {
		return p, err
	}
	w, err := linkOf(h, wan, true)
	if err != nil {
		return p, err
	}
	return translator.Place{WAN: w.Attrs().Index, WANHeader: header(w), Tunnel: t.Attrs().Index, TunnelHeader: header(t)}, nil
}

// header is how many bytes of link header packets have on a link.
func header(link vishvananda.Link) int {
	if link.Attrs().EncapType == "ether" {
		return 14
	}
	return 0
}

// programs are ours by their name on any link, and what else is in their places; inwards first.
func (t Translator) programs(h *host.Host) (all []program, err error) {
	links, err := kernel.Filtered(h)
	if err != nil || len(links) == 0 {
		return nil, err
	}
	place, _ := placeOf(h, t.Tunnel, t.WAN)
	for _, parent := range []uint32{vishvananda.HANDLE_MIN_INGRESS, vishvananda.HANDLE_MIN_EGRESS} {
		for _, link := range slices.Sorted(maps.Keys(links)) {
			p := program{link: link, parent: parent}
			if p.out() && !links[link] {
				continue
			}
			err := kernel.Dump(h, unix.RTM_GETTFILTER, kernel.TcMessage(link, 0, parent, 0), func(m nlmsg.Value) bool {
				if kernel.IsTranslator(m, parent) {
					p.parse(m)
					if strings.HasPrefix(p.name, programName) || p.out() && link == place.Tunnel || !p.out() && link == place.WAN {
						all = append(all, p)
					}
				}
				return true
			})
			if err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EINVAL) { // The link or its qdisc has gone meanwhile.
				return nil, err
			}
		}
	}
	return all, nil
}

func (p *program) parse(m []byte) {
	for kind, value := range nlmsg.Value(m[nl.SizeofTcMsg:]).Attributes() {
		if kind != nl.TCA_OPTIONS {
			continue
		}
		for kind, value := range value.Attributes() {
			switch {
			case kind == nl.TCA_BPF_NAME:
				p.name = unix.ByteSliceToString(value)
			case kind == nl.TCA_BPF_TAG:
				p.tag = hex.EncodeToString(value)
			}
		}
	}
}

// A filter has a name of up to 255 bytes. Ours says what the program is and its constants: to read them from the program
// itself would take CAP_SYS_ADMIN.
const (
	programName   = "mape-netplan"
	programFormat = programName + " %s %s ce %s ipv4 %s dmr %s psid %d/%d/%d mtu %d wan %d/%d tunnel %d/%d"
)

func nameOf(tag string, t translator.Translator, p translator.Place) string {
	return fmt.Sprintf(programFormat, translator.Version(), tag, t.CE, t.IPv4, t.DMR, t.PSID, t.PSIDLen, t.PSIDOffset, t.MTU,
		p.WAN, p.WANHeader, p.Tunnel, p.TunnelHeader)
}

// constants are those of a program of ours; ok is false for any other. The tag is the kernel's digest of the instructions.
func (p program) constants() (version string, t translator.Translator, at translator.Place, ok bool) {
	var tag, ce, ipv4, dmr string
	_, err := fmt.Sscanf(p.name, programFormat, &version, &tag, &ce, &ipv4, &dmr, &t.PSID, &t.PSIDLen, &t.PSIDOffset, &t.MTU,
		&at.WAN, &at.WANHeader, &at.Tunnel, &at.TunnelHeader)
	if err != nil || tag != p.tag {
		return "", translator.Translator{}, at, false
	}
	t.CE, _ = netip.ParseAddr(ce)
	t.IPv4, _ = netip.ParseAddr(ipv4)
	t.DMR, _ = netip.ParsePrefix(dmr)
	return version, t, at, true
}

// Write puts the programs in the places of those that are there, each at once. Those of others stay, and so does the qdisc.
func (t Translator) Write(_ context.Context, h *host.Host) error {
	before, err := t.programs(h)
	if err != nil {
		return err
	}
	if !t.present() {
		if t.Odd != "" {
			return errors.New("a program that was not of this version cannot be brought back")
		}
		return withdraw(h, before, translator.Place{})
	}
	place, err := placeOf(h, t.Tunnel, t.WAN)
	if err != nil {
		return err
	}
	loaded, err := translator.Load(t.Values, place)
	if err != nil {
		return err
	}
	defer loaded.Close()
	if err := t.attach(h, program{link: place.WAN, parent: vishvananda.HANDLE_MIN_INGRESS}, loaded.In64, place); err != nil {
		return fmt.Errorf("%s: %w", t.WAN, err)
	}
	if err := t.attach(h, program{link: place.Tunnel, parent: vishvananda.HANDLE_MIN_EGRESS}, loaded.Out46, place); err != nil {
		return fmt.Errorf("%s: %w", t.Tunnel, err)
	}
	return withdraw(h, before, place)
}

// withdraw deletes programs but those in a place, and those outwards first.
func withdraw(h *host.Host, all []program, but translator.Place) (err error) {
	for _, p := range slices.Backward(all) {
		if p.out() && p.link != but.Tunnel || !p.out() && p.link != but.WAN {
			message := kernel.TranslatorMessage(p.link, p.parent)
			err = errors.Join(err, kernel.Change(h, unix.RTM_DELTFILTER, 0, message, kernel.KindOf("bpf")))
		}
	}
	return err
}

func (t Translator) attach(h *host.Host, at program, p *ebpf.Program, place translator.Place) error {
	kind, _, err := kernel.IngressKind(h, at.link)
	if err != nil {
		return err
	}
	switch {
	case kind == "":
		err := kernel.Change(h, unix.RTM_NEWQDISC, netlink.Create|netlink.Excl, kernel.ClsactMessage(at.link), kernel.KindOf("clsact"))
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("clsact: %w", err)
		}
	case kind != "clsact" && at.out():
		return kernel.ErrIngress
	}
	info, err := p.Info()
	if err != nil {
		return err
	}
	attributes := netlink.NewAttributeEncoder()
	attributes.Uint32(nl.TCA_BPF_FD, uint32(p.FD()))
	attributes.String(nl.TCA_BPF_NAME, nameOf(info.Tag, t.Values, place))
	attributes.Uint32(nl.TCA_BPF_FLAGS, nl.TCA_BPF_FLAG_ACT_DIRECT)
	options, err := attributes.Encode()
	if err != nil {
		return err
	}
	return kernel.Change(h, unix.RTM_NEWTFILTER, netlink.Create, kernel.TranslatorMessage(at.link, at.parent), kernel.KindOf("bpf"),
		netlink.Attribute{Type: nl.TCA_OPTIONS | unix.NLA_F_NESTED, Data: options})
}
