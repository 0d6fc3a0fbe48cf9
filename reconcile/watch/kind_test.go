package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/kernel"
)

// A label is a kind of resource that only this file knows: an IPv4 address on a link that no section names.
type label struct {
	link    string
	address netip.Prefix
	present bool
}

func (l label) Name() string { return fmt.Sprintf("label %s dev %s", l.address, l.link) }

func (l label) Text() string {
	if !l.present {
		return ""
	}
	return "present\n"
}

func (l label) Traits() engine.Traits { return engine.Traits{Link: l.link, Event: engine.AddressEvent} }

func (l label) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	l.present = false
	link, err := kernel.LinkByName(h, l.link)
	if link == nil {
		return l, err
	}
	all, err := kernel.Inets(h, unix.AF_INET, link.Attrs().Index)
	for _, x := range all {
		l.present = l.present || x.Prefix == l.address
	}
	return l, err
}

func (l label) Write(_ context.Context, h *host.Host) error {
	link, err := kernel.LinkByName(h, l.link)
	if link == nil {
		return errors.Join(err, fmt.Errorf("there is no interface %s", l.link))
	}
	return h.Net.AddrReplace(link, &netlink.Addr{IPNet: kernel.IPNet(l.address)})
}

var ours = label{"other0", netip.MustParsePrefix("192.0.2.77/32"), true}

// TestKind: a resource of a kind of its own is applied, wakes the watch when it changes, is restored, and the process that
// changed it is named. When its link has gone, it is back once that is.
func TestKind(t *testing.T) {
	t.Parallel()
	g := newMachine(t)
	g.Exec(t, "sh", "-ec", "ip link add other0 type bridge; ip link set other0 up")
	w := startService(t, g, gatewaytest.LineSection, func(w *Watch) {
		w.Compile = func(o gateway.Transition, gw *gateway.Gateway, f facts.Facts) []engine.Resource {
			return append(withoutTunnel(o, gw, f), ours)
		}
	})
	w.says(t, "CE "+gatewaytest.CeOfLine, "label 192.0.2.77/32 dev other0")
	// The name of a process is read while it is there: this one stays.
	var ip io.WriteCloser
	g.Do(func() {
		cmd := exec.Command("ip", "-batch", "-")
		var err error
		if ip, err = cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ip.Close(); cmd.Wait() })
	})
	w.names(t, "ip", "<5>restored "+ours.Name()+": it was gone", func() { fmt.Fprintf(ip, "address del %s dev %s\n", ours.address, ours.link) })
	w.forget()
	g.Exec(t, "ip", "link", "del", ours.link)
	w.says(t, ours.Name(), ": there is no interface other0")
	g.Exec(t, "sh", "-ec", "ip link add other0 type bridge; ip link set other0 up")
	w.says(t, "restored "+ours.Name(), "was gone")
	if live, err := ours.Read(t.Context(), g.H); err != nil || live.Text() != ours.Text() {
		t.Errorf("%q, %v", live.Text(), err)
	}
}
