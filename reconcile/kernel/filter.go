package kernel

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/mdlayher/netlink"
	vishvananda "github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/nlmsg"
)

// Where the filters are among others, by the numbers of MAP-E's and MAP-T's RFCs: before those that get a preference from the
// kernel, and what filters before what translates. Preferences are the same as handles.
const (
	egressPreference = 7597
	EgressHandle     = 7597
	TranslatorHandle = 7599
)

// IsEgress is true of a message about a filter of our preference on the way out, in the chain that packets begin with.
func IsEgress(m []byte) bool { return isFilter(m, vishvananda.HANDLE_MIN_EGRESS, egressPreference) }

// IsTranslator is true of a message about a program of the translator on a link's way out or in.
func IsTranslator(m []byte, parent uint32) bool {
	return isFilter(m, parent, TranslatorHandle) && binary.NativeEndian.Uint32(m[8:]) == TranslatorHandle
}

// IsOurs is true of a message about a filter of our preferences. When all of one preference are deleted it has no handle.
func IsOurs(m []byte) bool {
	return IsEgress(m) || isFilter(m, vishvananda.HANDLE_MIN_EGRESS, TranslatorHandle) || isFilter(m, vishvananda.HANDLE_MIN_INGRESS, TranslatorHandle)
}

func isFilter(m []byte, parent, preference uint32) bool {
	if len(m) < nl.SizeofTcMsg || binary.NativeEndian.Uint32(m[12:]) != parent || binary.NativeEndian.Uint32(m[16:])>>16 != preference {
		return false
	}
	for kind, value := range nlmsg.Value(m[nl.SizeofTcMsg:]).Attributes() {
		if kind == nl.TCA_CHAIN && len(value) == 4 {
			return binary.NativeEndian.Uint32(value) == 0
		}
	}
	return true
}

// ProgramOf reads an array of struct sock_filter.
func ProgramOf(b []byte) (program []bpf.RawInstruction) {
	for ; len(b) >= 8; b = b[8:] {
		program = append(program, bpf.RawInstruction{Op: binary.NativeEndian.Uint16(b), Jt: b[2], Jf: b[3], K: binary.NativeEndian.Uint32(b[4:])})
	}
	return program
}

// Unfilter deletes the filter, and the clsact that is left empty.
func Unfilter(h *host.Host, index int) error {
	if err := Change(h, unix.RTM_DELTFILTER, 0, EgressMessage(index), KindOf("bpf")); err != nil {
		return err
	}
	others := false
	for _, parent := range []uint32{vishvananda.HANDLE_MIN_EGRESS, vishvananda.HANDLE_MIN_INGRESS} {
		err := Dump(h, unix.RTM_GETTFILTER, TcMessage(index, 0, parent, 0), func(nlmsg.Value) bool { others = true; return false })
		if err != nil || others {
			return err
		}
	}
	return Change(h, unix.RTM_DELQDISC, 0, ClsactMessage(index))
}

// EgressMessage is about our filter.
func EgressMessage(index int) []byte {
	protocol := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})
	return TcMessage(index, EgressHandle, vishvananda.HANDLE_MIN_EGRESS, egressPreference<<16|uint32(protocol))
}

// TranslatorMessage is about the translator's program on a link's way out or in. Inwards it is asked about IPv6 alone, which
// leaves out packets that still have a tag of a VLAN.
func TranslatorMessage(index int, parent uint32) []byte {
	etherType := uint16(unix.ETH_P_ALL)
	if parent == vishvananda.HANDLE_MIN_INGRESS {
		etherType = unix.ETH_P_IPV6
	}
	protocol := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, etherType))
	return TcMessage(index, TranslatorHandle, parent, TranslatorHandle<<16|uint32(protocol))
}

// Filtered are the links that may have filters, by their index, and whether they may on the way out: with a clsact they may,
// with an ingress qdisc those would be on the way in.
func Filtered(h *host.Host) (links map[int]bool, err error) {
	links = map[int]bool{}
	err = Dump(h, unix.RTM_GETQDISC, TcMessage(0, 0, 0, 0), func(m nlmsg.Value) bool {
		if len(m) < nl.SizeofTcMsg || binary.NativeEndian.Uint32(m[12:]) != vishvananda.HANDLE_CLSACT {
			return true
		}
		for k, value := range nlmsg.Value(m[nl.SizeofTcMsg:]).Attributes() {
			if k == nl.TCA_KIND {
				links[int(binary.NativeEndian.Uint32(m[4:]))] = unix.ByteSliceToString(value) == "clsact"
			}
		}
		return true
	})
	if Lacking(err) {
		err = nil
	}
	return links, err
}

// Errors of a link that another program has set up so that it cannot have the filter.
var (
	ErrIngress = errors.New("an ingress qdisc is on the link and leaves no place for clsact")
	ErrShared  = errors.New("the link's clsact has an egress block, whose filters are shared with other links")
)

// Lacking is the kernel's error for a kind that it has not, or for traffic control that it has not at all.
func Lacking(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP)
}

// Errors of a kernel that cannot filter what leaves by a link.
var (
	ErrNoClsact = errors.New("the kernel has no sch_ingress")
	ErrNoBPF    = errors.New("the kernel has no cls_bpf")
)

// Barred returns why a link cannot have our filter (ErrIngress, ErrShared, ErrNoClsact or ErrNoBPF), or nil. A link that has
// it is known by one message. Otherwise it sends a request that the kernel always refuses: the error tells whether the kernel
// lacks sch_ingress or cls_bpf. A caller without the right to ask gets nil.
func Barred(h *host.Host, index int) error {
	if filtered(h, index) {
		return nil
	}
	kind, shared, err := IngressKind(h, index)
	switch {
	case err != nil:
	case shared:
		return ErrShared
	case kind == "ingress":
		return ErrIngress
	case kind == "clsact":
		// Without a program.
		if Lacking(Change(h, unix.RTM_NEWTFILTER, netlink.Create|netlink.Excl, EgressMessage(index), KindOf("bpf"))) {
			return ErrNoBPF
		}
	case kind == "":
		// With a block of number 0, which is not allowed.
		block := netlink.Attribute{Type: nl.TCA_EGRESS_BLOCK, Data: make([]byte, 4)}
		if Lacking(Change(h, unix.RTM_NEWQDISC, netlink.Create|netlink.Excl, ClsactMessage(index), KindOf("clsact"), block)) {
			return ErrNoClsact
		}
	}
	return nil
}

// filtered is true of a link that has our filter.
func filtered(h *host.Host, index int) (found bool) {
	_ = Dump(h, unix.RTM_GETTFILTER, TcMessage(index, 0, vishvananda.HANDLE_MIN_EGRESS, 0), func(m nlmsg.Value) bool {
		found = IsEgress(m) && binary.NativeEndian.Uint32(m[8:]) == EgressHandle
		return !found
	})
	return found
}

// IngressKind is the qdisc in the one place for clsact and ingress; "" for none. shared: it has a block of filters for
// egress that other links may have as well, and takes none of its own.
func IngressKind(h *host.Host, index int) (kind string, shared bool, err error) {
	// Asked for a single one, the kernel tells those who listen for changes, not the one that asks (measured on 6.18).
	err = Dump(h, unix.RTM_GETQDISC, TcMessage(index, 0, 0, 0), func(m nlmsg.Value) (more bool) {
		if len(m) < nl.SizeofTcMsg || int(binary.NativeEndian.Uint32(m[4:])) != index || binary.NativeEndian.Uint32(m[12:]) != vishvananda.HANDLE_CLSACT {
			return true
		}
		for k, value := range nlmsg.Value(m[nl.SizeofTcMsg:]).Attributes() {
			switch k {
			case nl.TCA_KIND:
				kind = unix.ByteSliceToString(value)
			case nl.TCA_EGRESS_BLOCK:
				shared = true
			}
		}
		return false
	})
	if Lacking(err) {
		return "", false, nil
	}
	return kind, shared, err
}

// TcMessage is a struct tcmsg.
func TcMessage(index int, handle, parent, info uint32) []byte {
	m := nl.TcMsg{Ifindex: int32(index), Handle: handle, Parent: parent, Info: info}
	return slices.Clone(m.Serialize())
}

func ClsactMessage(index int) []byte {
	return TcMessage(index, vishvananda.HANDLE_CLSACT&0xffff0000, vishvananda.HANDLE_CLSACT, 0)
}

func KindOf(name string) netlink.Attribute {
	return netlink.Attribute{Type: nl.TCA_KIND, Data: append([]byte(name), 0)}
}
