package resource_test

import (
	"context"
	"net"
	"testing"

	"github.com/vishvananda/netlink"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/resource"
)

// A bridge stands in for a Tunnel on a kernel without ip6_tunnel: what is on it goes with it as well.
type bridge struct {
	link string
	up   bool
}

func (b bridge) Name() string { return "tunnel " + b.link }

func (b bridge) Traits() engine.Traits { return engine.Traits{Makes: b.link, Event: engine.LinkEvent} }

func (b bridge) Text() string {
	if !b.up {
		return ""
	}
	return "up\n"
}

func (b bridge) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	link, err := kernel.LinkByName(h, b.link)
	return bridge{b.link, link != nil}, err
}

func (b bridge) Write(_ context.Context, h *host.Host) error {
	link, err := kernel.LinkByName(h, b.link)
	if err != nil || b.up == (link != nil) {
		return err
	}
	if !b.up {
		return h.Net.LinkDel(link)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = b.link, net.HardwareAddr{2, 0, 0, 0, 0, 1} // The kernel would draw one.
	if err := h.Net.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		return err
	}
	if link, err = h.Net.LinkByName(b.link); err != nil {
		return err
	}
	return h.Net.LinkSetUp(link)
}

// bridged compiles a section, or with "" a machine without a gateway, for bridges that are taken for tunnels.
func bridged(g *gatewaytest.Machine, t testing.TB, section string) (want []engine.Resource) {
	t.Helper()
	g.Do(func() {
		f, err := facts.Gather(g.H)
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range f.Links {
			if l.Kind == "bridge" {
				f.Links[i].Kind = "ip6tnl"
			}
		}
		var fitted *gateway.Gateway
		if section != "" {
			fitted = gatewaytest.MustResolve(t, section, f)
		}
		want = gateway.Compile(fitted, f)
	})
	for i, r := range want {
		if tunnel, ok := r.(resource.Tunnel); ok {
			want[i] = bridge{tunnel.Link, tunnel.Local.IsValid()}
		}
	}
	return want
}
