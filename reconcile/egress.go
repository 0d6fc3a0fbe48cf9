package reconcile

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mdlayher/netlink"
	vishvananda "github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/softwire"
)

// An Egress is a filter on what leaves by the tunnel, beside the table: a flush of the ruleset takes the table, and
// packets would leave as they are until it is back. What is filtered on the link itself stays as long as the link does.
type Egress struct {
	Link    string
	Program []bpf.RawInstruction // none is absent
	Flags   uint32               // TCA_BPF_FLAG_…
	Odd     string               // what the kernel has in its place
}

// Where the filter is among others, by the number of MAP-E's RFC: before those that get a preference from the kernel.
const (
	egressPreference = 7597
	egressHandle     = 7597
)

func egressOf(link string, s softwire.Softwire) Egress {
	return Egress{Link: link, Program: egressProgram(s), Flags: nl.TCA_BPF_FLAG_ACT_DIRECT}
}

func (e Egress) Name() string { return "filter " + e.Link + " egress" }

// Text is what the filter lets out.
func (e Egress) Text() string {
	if len(e.Program) == 0 {
		return e.Odd
	}
	var b strings.Builder
	if s, ok := softwireOf(e.Program); ok {
		fmt.Fprintf(&b, "lets out source %s", strings.TrimSuffix(s.IPv4.String(), "/32"))
		if s.PSIDLen > 0 {
			fmt.Fprintf(&b, ", PSID %d of %d bits, offset %d", s.PSID, s.PSIDLen, s.PSIDOffset)
		}
		b.WriteByte('\n')
	} else {
		b.WriteString("another program\n")
		for _, i := range e.Program {
			fmt.Fprintf(&b, "%v\n", i.Disassemble())
		}
	}
	if e.Flags != nl.TCA_BPF_FLAG_ACT_DIRECT {
		fmt.Fprintf(&b, "flags 0x%x\n", e.Flags)
	}
	return b.String()
}

func (e Egress) Read(_ context.Context, h *Host) (Resource, error) {
	live := Egress{Link: e.Link}
	link, err := h.link(e.Link)
	if link == nil {
		return live, err
	}
	err = h.dump(unix.RTM_GETTFILTER, tcMessage(link.Attrs().Index, 0, vishvananda.HANDLE_MIN_EGRESS, 0), func(m []byte) bool {
		live.parse(m)
		return true
	})
	if live.Text() == "" && h.unfiltered {
		return e, err
	}
	return live, err
}

// parse takes our filter from a message of a dump, which has others as well.
func (e *Egress) parse(m []byte) {
	if !isEgress(m) || binary.NativeEndian.Uint32(m[8:]) != egressHandle {
		return
	}
	e.Odd = "not of this program\n"
	for kind, value := range attributes(m[nl.SizeofTcMsg:]) {
		if kind != nl.TCA_OPTIONS {
			continue
		}
		for kind, value := range attributes(value) {
			switch {
			case kind == nl.TCA_BPF_FLAGS && len(value) == 4:
				e.Flags = binary.NativeEndian.Uint32(value)
			case kind == nl.TCA_BPF_OPS:
				e.Program, e.Odd = programOf(value), ""
			}
		}
	}
}

// isEgress is true of a message about a filter of our preference on the way out.
func isEgress(m []byte) bool {
	return len(m) >= nl.SizeofTcMsg && binary.NativeEndian.Uint32(m[12:]) == vishvananda.HANDLE_MIN_EGRESS &&
		binary.NativeEndian.Uint32(m[16:])>>16 == egressPreference
}

// programOf reads an array of struct sock_filter.
func programOf(b []byte) (program []bpf.RawInstruction) {
	for ; len(b) >= 8; b = b[8:] {
		program = append(program, bpf.RawInstruction{Op: binary.NativeEndian.Uint16(b), Jt: b[2], Jf: b[3], K: binary.NativeEndian.Uint32(b[4:])})
	}
	return program
}

// Write puts the filter in the place of the one that is there, at once. Those of others stay.
func (e Egress) Write(ctx context.Context, h *Host) error {
	live, err := e.Read(ctx, h)
	if err != nil {
		return err
	}
	link, err := h.link(e.Link)
	switch {
	case err != nil:
		return err
	case e.Text() == "" && live.Text() == "":
		return nil
	case link == nil:
		return fmt.Errorf("there is no interface %s", e.Link)
	case e.Odd != "":
		return errors.New("a filter that was not of this program cannot be brought back")
	}
	index := link.Attrs().Index
	if e.Text() == "" {
		return h.unfilter(index)
	}
	err = h.tc(unix.RTM_NEWQDISC, netlink.Create|netlink.Excl, clsactMessage(index), kindOf("clsact"))
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("clsact: %w", err)
	}
	if kind, err := h.ingressKind(index); err != nil || kind != "clsact" {
		return errors.Join(err, errIngress)
	}
	err = h.tc(unix.RTM_NEWTFILTER, netlink.Create, e.message(index), kindOf("bpf"), netlink.Attribute{Type: nl.TCA_OPTIONS | unix.NLA_F_NESTED, Data: e.options()})
	// The kernel has clsact and no cls_bpf. The gateway works without.
	if lacking(err) {
		h.unfiltered = true
		return nil
	}
	return err
}

// unfilter deletes the filter, and the clsact that is left empty.
func (h *Host) unfilter(index int) error {
	if err := h.tc(unix.RTM_DELTFILTER, 0, Egress{}.message(index), kindOf("bpf")); err != nil {
		return err
	}
	others := false
	for _, parent := range []uint32{vishvananda.HANDLE_MIN_EGRESS, vishvananda.HANDLE_MIN_INGRESS} {
		err := h.dump(unix.RTM_GETTFILTER, tcMessage(index, 0, parent, 0), func([]byte) bool { others = true; return false })
		if err != nil || others {
			return err
		}
	}
	return h.tc(unix.RTM_DELQDISC, 0, clsactMessage(index))
}

func (Egress) message(index int) []byte {
	protocol := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})
	return tcMessage(index, egressHandle, vishvananda.HANDLE_MIN_EGRESS, egressPreference<<16|uint32(protocol))
}

func (e Egress) options() []byte {
	var ops []byte
	for _, i := range e.Program {
		ops = binary.NativeEndian.AppendUint16(ops, i.Op)
		ops = append(ops, i.Jt, i.Jf)
		ops = binary.NativeEndian.AppendUint32(ops, i.K)
	}
	attributes := netlink.NewAttributeEncoder()
	attributes.Uint16(nl.TCA_BPF_OPS_LEN, uint16(len(e.Program)))
	attributes.Bytes(nl.TCA_BPF_OPS, ops)
	attributes.Uint32(nl.TCA_BPF_FLAGS, e.Flags)
	b, _ := attributes.Encode() // It fails on what is too long for an attribute, 64 KiB.
	return b
}

var errIngress = errors.New("an ingress qdisc is on the link and leaves no place for clsact")

// barred is why nothing can filter what leaves by the tunnel: the kernel lacks it, or an ingress qdisc is in the way. The
// kernel is asked for what it refuses in any case, but with another error where it could, until once it can. A caller
// without the right to ask takes it that it can.
func (h *Host) barred(f Facts) error {
	if h.filters {
		return nil
	}
	links := slices.DeleteFunc(slices.Clone(f.Links), func(l Link) bool { return !slices.Contains(f.Owned.Tunnels, l.Name) })
	if len(links) == 0 { // Any link tells, and every machine has this one.
		links = slices.DeleteFunc(slices.Clone(f.Links), func(l Link) bool { return !l.Loopback })
	}
	for _, l := range links {
		if err := h.barredOn(l); err != nil {
			return err
		}
	}
	h.filters = len(links) > 0
	return nil
}

func (h *Host) barredOn(l Link) error {
	kind, err := h.ingressKind(l.Index)
	switch {
	case err != nil:
	case kind == "ingress" && !l.Loopback:
		return fmt.Errorf("%s: %w", l.Name, errIngress)
	case kind == "clsact":
		// Without a program.
		if lacking(h.tc(unix.RTM_NEWTFILTER, netlink.Create|netlink.Excl, Egress{}.message(l.Index), kindOf("bpf"))) {
			return errors.New("the kernel has no cls_bpf")
		}
	case kind == "":
		// With a block of number 0, which is not allowed.
		block := netlink.Attribute{Type: nl.TCA_EGRESS_BLOCK, Data: make([]byte, 4)}
		if lacking(h.tc(unix.RTM_NEWQDISC, netlink.Create|netlink.Excl, clsactMessage(l.Index), kindOf("clsact"), block)) {
			return errors.New("the kernel has no sch_ingress")
		}
	}
	return nil
}

// lacking is the kernel's error for a kind that it has not, or for traffic control that it has not at all.
func lacking(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP)
}

// ingressKind is the qdisc in the one place for clsact and ingress; "" is none.
func (h *Host) ingressKind(index int) (kind string, err error) {
	// Asked for a single one, the kernel tells those who listen for changes, not the one that asks (measured on 6.18).
	err = h.dump(unix.RTM_GETQDISC, tcMessage(index, 0, 0, 0), func(m []byte) (more bool) {
		if len(m) < nl.SizeofTcMsg || int(binary.NativeEndian.Uint32(m[4:])) != index || binary.NativeEndian.Uint32(m[12:]) != vishvananda.HANDLE_CLSACT {
			return true
		}
		for k, value := range attributes(m[nl.SizeofTcMsg:]) {
			if k == nl.TCA_KIND {
				kind = unix.ByteSliceToString(value)
			}
		}
		return false
	})
	if lacking(err) {
		return "", nil
	}
	return kind, err
}

// tc asks traffic control for a change.
func (h *Host) tc(kind netlink.HeaderType, flags netlink.HeaderFlags, message []byte, attributes ...netlink.Attribute) error {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{NetNS: h.NS})
	if err != nil {
		return err
	}
	defer conn.Close()
	more, err := netlink.MarshalAttributes(attributes)
	if err != nil {
		return err
	}
	_, err = conn.Execute(netlink.Message{
		Header: netlink.Header{Type: kind, Flags: netlink.Request | netlink.Acknowledge | flags}, Data: append(message, more...),
	})
	return err
}

// tcMessage is a struct tcmsg.
func tcMessage(index int, handle, parent, info uint32) []byte {
	m := nl.TcMsg{Ifindex: int32(index), Handle: handle, Parent: parent, Info: info}
	return slices.Clone(m.Serialize())
}

func clsactMessage(index int) []byte {
	return tcMessage(index, vishvananda.HANDLE_CLSACT&0xffff0000, vishvananda.HANDLE_CLSACT, 0)
}

func kindOf(name string) netlink.Attribute {
	return netlink.Attribute{Type: nl.TCA_KIND, Data: append([]byte(name), 0)}
}
