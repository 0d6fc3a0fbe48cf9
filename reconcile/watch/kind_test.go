package watch

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/schema"
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
	return h.Net.AddrReplace(link, &netlink.Addr{IPNet: kernel.IpNet(l.address)})
}

var ours = label{"other0", netip.MustParsePrefix("192.0.2.77/32"), true}

// TestKind: a resource of a kind of its own is made, wakes the watch when it changes, is repaired, and is blamed on the
// program that changed it. When its link has gone, it is back once that is.
func TestKind(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Exec(t, "sh", "-ec", "ip link add mape0 type bridge; ip link set mape0 up; ip link add other0 type bridge; ip link set other0 up")
	log, state := make(chan string, 1000), make(chan struct{}, 1000)
	// says waits for a message with all the words, and returns it.
	says := func(words ...string) string {
		t.Helper()
		for end := time.After(time.Minute); ; {
			select {
			case text := <-log:
				if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) }) {
					return text
				}
			case <-end:
				t.Fatalf("the log has no %q", words)
			}
		}
	}
	// rest waits until the watch has looked, and sleeps.
	rest := func() {
		for quiet := false; !quiet; {
			select {
			case <-state:
			case <-time.After(300 * time.Millisecond):
				quiet = true
			}
		}
	}
	w := &Watch{
		Host: g.H, Section: func() (*schema.Config, error) { return gatewaytest.SectionOf(t, gatewaytest.LineSection), nil },
		Log: func(_ Priority, text string) { log <- text }, Notify: func(string) { state <- struct{}{} },
		Compile: func(o gateway.Order, gw *gateway.Gateway, f facts.Facts) []engine.Resource {
			return append(slices.DeleteFunc(o.Compile(gw, f), func(r engine.Resource) bool { return r.Traits().Makes != "" }), ours)
		},
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go g.Do(func() { done <- w.Run(ctx) })
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	says("CE "+gatewaytest.CeOfLine, "label 192.0.2.77/32 dev other0")
	// A pass that is under way sees the change before the message that tells who made it.
	for try, text := 0, ""; !strings.Contains(text, "was gone (by ip, pid "); try++ {
		if try == 5 {
			t.Fatalf("the last message is %q", text)
		}
		rest()
		g.Exec(t, "ip", "address", "del", ours.address.String(), "dev", ours.link)
		text = says(ours.Name(), "was gone")
	}
	g.Exec(t, "ip", "link", "del", ours.link)
	says(ours.Name(), ": there is no interface other0")
	g.Exec(t, "sh", "-ec", "ip link add other0 type bridge; ip link set other0 up")
	says(ours.Name(), "was gone")
	if live, err := ours.Read(t.Context(), g.H); err != nil || live.Text() != ours.Text() {
		t.Errorf("%q, %v", live.Text(), err)
	}
}
