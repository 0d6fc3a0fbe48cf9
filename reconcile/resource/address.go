package resource

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
)

// An Address is one on an interface.
type Address struct {
	Link   string
	Prefix netip.Prefix // the address and its length
	// Foreign is an address that another file configures: it has to be there,
	// with any length and lifetime.
	Foreign   bool
	Present   bool
	Preferred uint32 // preferred lifetime in seconds, MaxUint32 is for ever; 0 is deprecated
	Detection Detection
}

// A Detection is how far the kernel has come in finding out whether another host has an address (RFC 4862, section 5.4).
type Detection string

const (
	Unique    Detection = ""
	Tentative Detection = "tentative"
	Duplicate Detection = "duplicate"
)

// DetectionIn is that of a resource that is an address; Unique for any other.
func DetectionIn(r engine.Resource) Detection {
	a, _ := r.(Address)
	return a.Detection
}

// text uses the kernel's words.
func (d Detection) text() string {
	switch d {
	case Duplicate:
		return "dadfailed: another host on the link has this address\n"
	case Tentative:
		return detectionRuns
	}
	return ""
}

func (a Address) Name() string {
	return fmt.Sprintf("address %s dev %s", a.Prefix.Addr(), a.Link)
}

func (a Address) Traits() engine.Traits {
	return engine.Traits{Link: a.Link, Event: engine.AddressEvent}
}

// Settles: duplicate address detection takes a second or two (RFC 4862, section 5.4).
func (a Address) Settles(want engine.Resource) bool { return a.Text() == want.Text()+detectionRuns }

// Text uses the words of "ip address".
func (a Address) Text() string {
	switch {
	case !a.Present:
		return ""
	case a.Foreign:
		return "present\n" + a.Detection.text()
	case a.Preferred == math.MaxUint32:
		return fmt.Sprintf("%s %s\npreferred_lft forever\n%s", a.family(), a.Prefix, a.Detection.text())
	}
	return fmt.Sprintf("%s %s\npreferred_lft %dsec\n%s", a.family(), a.Prefix, a.Preferred, a.Detection.text())
}

func (a Address) family() string {
	if a.Prefix.Addr().Is4() {
		return "inet"
	}
	return "inet6"
}

func (a Address) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	live := Address{Link: a.Link, Prefix: a.Prefix, Foreign: a.Foreign}
	link, err := kernel.LinkByName(h, a.Link)
	if link == nil {
		return live, err
	}
	all, err := kernel.Inets(h, unix.AF_UNSPEC, link.Attrs().Index)
	if err != nil {
		return nil, err
	}
	for _, x := range all {
		if x.Prefix.Addr() != a.Prefix.Addr() {
			continue
		}
		live.Prefix = x.Prefix
		live.Present, live.Preferred = true, x.Preferred
		live.Detection = DetectionOf(x.Flags)
		if live.Detection == Unique {
			// One that was tentative when it was found has settled since: a
			// rollback need not wait for that to come back.
			live.Detection = a.Detection
		}
	}
	return live, nil
}

// detectionRuns is the line of an address for which duplicate address detection
// is still running.
const detectionRuns = "tentative\n"

// DetectionOf reads the flags of an address (IFA_F_…): a tentative or duplicate one cannot be the source of a packet.
func DetectionOf(flags uint32) Detection {
	switch {
	case flags&unix.IFA_F_DADFAILED != 0:
		return Duplicate
	case flags&unix.IFA_F_TENTATIVE != 0:
		return Tentative
	}
	return Unique
}

func (a Address) Write(ctx context.Context, h *host.Host) error {
	link, err := linkOf(h, a.Link, a.Present)
	if link == nil || err != nil {
		return err
	}
	now, err := a.Read(ctx, h)
	if err != nil {
		return err
	}
	if is := now.(Address); a.Foreign && a.Present && !is.Present {
		if back, err := a.returns(ctx, h); back || err != nil {
			return err
		}
	}
	// The kernel takes the same address twice with two lengths for a duplicate.
	if is := now.(Address); is.Present && (!a.Present || is.Prefix != a.Prefix) {
		err := h.Net.AddrDel(link, &netlink.Addr{IPNet: kernel.IPNet(is.Prefix)})
		if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return err
		}
	}
	if !a.Present {
		return nil
	}
	var flags uint32
	if is := now.(Address); !is.Present && a.Prefix.Addr().Is6() {
		defer optimistic(h, a.Link)()
		flags = unix.IFA_F_OPTIMISTIC
	}
	return kernel.AddAddress(h, link.Attrs().Index, a.Prefix, a.Preferred, flags)
}

// foreignReturns is how long an address of another file may be away: a router advertises it again, at most every three seconds
// (RFC 4861 section 6.2.6), and need not do so at once.
const foreignReturns = 10 * time.Second

// returns waits for an address that another file configures, and reports whether it is back. networkd takes all addresses of a
// link away when it reads changed files, and where it then finds the address made by us it fails to configure the link
// (252, which was seen not to end at all).
func (a Address) returns(ctx context.Context, h *host.Host) (bool, error) {
	for end := time.Now().Add(foreignReturns); time.Now().Before(end); {
		if err := host.Wait(ctx, 100*time.Millisecond); err != nil {
			return false, err
		}
		if now, err := a.Read(ctx, h); err != nil || now.(Address).Present {
			return true, err
		}
	}
	return false, nil
}

// optimistic lets an address that is added be used while duplicate address
// detection runs (RFC 4429): that takes a second or two, which the new line
// would be late. It returns what sets the parameter back, and notes the link until
// then, for a run that is killed. A kernel that does not have it ignores the flag.
func optimistic(h *host.Host, link string) (back func()) {
	allow := optimisticDAD(link, "1")
	was, err := allow.Read(context.Background(), h)
	if err != nil || was.Text() != optimisticDAD(link, "0").Text() || h.Replace(optimisticPath, 0o644, link) != nil || allow.Write(context.Background(), h) != nil {
		return func() {}
	}
	return func() { EndOptimistic(h) }
}

func optimisticDAD(link, value string) Sysctl {
	return Sysctl{"net/ipv6/conf/" + link + "/optimistic_dad", value}
}

const optimisticPath = "/run/mape-netplan-optimistic"

// EndOptimistic sets back what a run that was killed has left.
func EndOptimistic(h *host.Host) {
	link, err := h.ReadFile(optimisticPath)
	if err != nil || h.Sys == nil {
		return
	}
	_ = optimisticDAD(path.Base(strings.TrimSpace(string(link))), "0").Write(context.Background(), h) // The link may have gone.
	_ = h.Root.Remove(host.Local(optimisticPath))
}

// A Former is an address that is kept away. What is there in any other form than it had is not ours.
type Former struct{ Address }

// Traits: it is only ever removed.
func (f Former) Traits() engine.Traits {
	return engine.Traits{Link: f.Link, Event: engine.AddressEvent, Transient: true}
}

// Text is empty: the address is to be absent.
func (Former) Text() string { return "" }

func (f Former) Read(ctx context.Context, h *host.Host) (engine.Resource, error) {
	live, err := f.Address.Read(ctx, h)
	if err != nil {
		return nil, err
	}
	is := live.(Address)
	if is.Detection = f.Detection; is.Text() == f.Address.Text() {
		return is, nil
	}
	return f, nil
}

func (f Former) Write(ctx context.Context, h *host.Host) error {
	return Address{Link: f.Link, Prefix: f.Prefix}.Write(ctx, h)
}
