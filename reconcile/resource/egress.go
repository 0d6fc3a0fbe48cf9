package resource

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mdlayher/netlink"
	vishvananda "github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nlmsg"
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

// EgressOf lets out what comes from the sources, and where they share their ports, from those.
func EgressOf(link string, sources []netip.Prefix, ports softwire.Ports) Egress {
	return Egress{Link: link, Program: nat.EgressProgram(sources, ports), Flags: nl.TCA_BPF_FLAG_ACT_DIRECT}
}

func (e Egress) Name() string { return "filter " + e.Link + " egress" }

func (e Egress) Traits() engine.Traits { return engine.Traits{Link: e.Link, Event: engine.FilterEvent} }

func (e Egress) Absent() engine.Resource { return Egress{Link: e.Link} }

// Text is what the filter lets out.
func (e Egress) Text() string {
	if len(e.Program) == 0 {
		return e.Odd
	}
	var b strings.Builder
	if sources, ports, ok := nat.LetsOut(e.Program); ok {
		b.WriteString("lets out source")
		for _, s := range sources {
			b.WriteString(" " + strings.TrimSuffix(s.String(), "/32"))
		}
		if ports.PSIDLen > 0 {
			fmt.Fprintf(&b, ", PSID %d of %d bits, offset %d", ports.PSID, ports.PSIDLen, ports.PSIDOffset)
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

func (e Egress) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	live := Egress{Link: e.Link}
	link, err := kernel.LinkByName(h, e.Link)
	if link == nil {
		return live, err
	}
	err = kernel.Dump(h, unix.RTM_GETTFILTER, kernel.TcMessage(link.Attrs().Index, 0, vishvananda.HANDLE_MIN_EGRESS, 0), func(m nlmsg.Value) bool {
		live.parse(m)
		return true
	})
	// That the kernel has clsact and no cls_bpf shows only once clsact is there. The gateway works without.
	if err == nil && live.Text() == "" && errors.Is(kernel.Barred(h, link.Attrs().Index), kernel.ErrNoBPF) {
		return e, nil
	}
	return live, err
}

// parse takes our filter from a message of a dump, which has others as well.
func (e *Egress) parse(m []byte) {
	if !kernel.IsEgress(m) || binary.NativeEndian.Uint32(m[8:]) != kernel.EgressHandle {
		return
	}
	e.Odd = "not of this program\n"
	for kind, value := range nlmsg.Value(m[nl.SizeofTcMsg:]).Attributes() {
		if kind != nl.TCA_OPTIONS {
			continue
		}
		for kind, value := range value.Attributes() {
			switch {
			case kind == nl.TCA_BPF_FLAGS && len(value) == 4:
				e.Flags = binary.NativeEndian.Uint32(value)
			case kind == nl.TCA_BPF_OPS:
				e.Program, e.Odd = kernel.ProgramOf(value), ""
			}
		}
	}
}

// Write puts the filter in the place of the one that is there, at once. Those of others stay.
func (e Egress) Write(ctx context.Context, h *host.Host) error {
	live, err := e.Read(ctx, h)
	if err != nil {
		return err
	}
	link, err := linkOf(h, e.Link, e.Text() != "")
	switch {
	case link == nil || e.Text() == "" && live.Text() == "":
		return err
	case e.Odd != "":
		return errors.New("a filter that was not of this program cannot be brought back")
	}
	index := link.Attrs().Index
	if e.Text() == "" {
		return kernel.Unfilter(h, index)
	}
	err = kernel.Change(h, unix.RTM_NEWQDISC, netlink.Create|netlink.Excl, kernel.ClsactMessage(index), kernel.KindOf("clsact"))
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("clsact: %w", err)
	}
	switch kind, shared, err := kernel.IngressKind(h, index); {
	case err != nil || kind != "clsact":
		return errors.Join(err, kernel.ErrIngress)
	case shared:
		return kernel.ErrShared
	}
	err = kernel.Change(h, unix.RTM_NEWTFILTER, netlink.Create, kernel.EgressMessage(index), kernel.KindOf("bpf"), netlink.Attribute{Type: nl.TCA_OPTIONS | unix.NLA_F_NESTED, Data: e.options()})
	if kernel.Lacking(err) {
		return nil // Read says that nothing is missing.
	}
	return err
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
