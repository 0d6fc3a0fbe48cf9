package facts

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
)

// barred is why nothing can filter what leaves by the tunnel: the kernel lacks it, or an ingress qdisc is in the way. The
// kernel is asked for what it refuses in any case, but with another error where it could, until once it can. A caller
// without the right to ask takes it that it can.
func barred(h *host.Host, f Facts) error {
	if h.Filters {
		return nil
	}
	links := slices.DeleteFunc(slices.Clone(f.Links), func(l kernel.Link) bool { return !slices.Contains(f.Owned.Tunnels, l.Name) })
	if len(links) == 0 { // Any link tells, and every machine has this one.
		links = slices.DeleteFunc(slices.Clone(f.Links), func(l kernel.Link) bool { return !l.Loopback })
	}
	for _, l := range links {
		if err := barredOn(h, l); err != nil {
			return err
		}
	}
	h.Filters = len(links) > 0
	return nil
}

func barredOn(h *host.Host, l kernel.Link) error {
	kind, err := kernel.IngressKind(h, l.Index)
	switch {
	case err != nil:
	case kind == "ingress" && !l.Loopback:
		return fmt.Errorf("%s: %w", l.Name, kernel.ErrIngress)
	case kind == "clsact":
		// Without a program.
		if kernel.Lacking(kernel.Tc(h, unix.RTM_NEWTFILTER, netlink.Create|netlink.Excl, kernel.EgressMessage(l.Index), kernel.KindOf("bpf"))) {
			return errors.New("the kernel has no cls_bpf")
		}
	case kind == "":
		// With a block of number 0, which is not allowed.
		block := netlink.Attribute{Type: nl.TCA_EGRESS_BLOCK, Data: make([]byte, 4)}
		if kernel.Lacking(kernel.Tc(h, unix.RTM_NEWQDISC, netlink.Create|netlink.Excl, kernel.ClsactMessage(l.Index), kernel.KindOf("clsact"), block)) {
			return errors.New("the kernel has no sch_ingress")
		}
	}
	return nil
}
