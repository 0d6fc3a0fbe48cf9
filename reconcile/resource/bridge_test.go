package resource_test

import (
	"context"
	"errors"
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
	"mape-netplan/schema"
)

// A bridge stands in for a Tunnel on a kernel without ip6_tunnel: what is on it goes with it as well.
type bridge struct {
	link   string
	up     bool
	beside engine.Resource
	down   bool // it is there and not up: a run was killed in between
}

func (b bridge) Restore(engine.Resource) []engine.Resource { return []engine.Resource{b, b.beside} }

func (b bridge) Name() string { return "tunnel " + b.link }

func (b bridge) Traits() engine.Traits { return engine.Traits{Makes: b.link, Event: engine.LinkEvent} }

func (b bridge) Text() string {
	switch {
	case b.up:
		return "up\n"
	case b.down:
		return "down\n"
	}
	return ""
}

func (b bridge) Read(ctx context.Context, h *host.Host) (engine.Resource, error) {
	link, err := kernel.LinkByName(h, b.link)
	beside, e := resource.Beside{Link: b.link}.Read(ctx, h)
	up := link != nil && link.Attrs().Flags&net.FlagUp != 0
	return bridge{b.link, up, beside, link != nil && !up}, errors.Join(err, e)
}

func (b bridge) Write(_ context.Context, h *host.Host) error {
	link, err := kernel.LinkByName(h, b.link)
	switch {
	case err != nil || !b.up && link == nil:
		return err
	case !b.up:
		return h.Net.LinkDel(link)
	case link == nil:
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.HardwareAddr = b.link, net.HardwareAddr{2, 0, 0, 0, 0, 1} // The kernel would draw one.
		err = h.Net.LinkAdd(&netlink.Bridge{LinkAttrs: attrs})
	}
	if err != nil {
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
		var err error
		if want, err = bridgedOn(g.H, section, gateway.Transition{}); err != nil {
			t.Fatal(err)
		}
	})
	return want
}

func bridgedOn(h *host.Host, section string, transition gateway.Transition) ([]engine.Resource, error) {
	f, err := facts.Gather(h)
	if err != nil {
		return nil, err
	}
	for i, l := range f.Links {
		if l.Kind == "bridge" {
			f.Links[i].Kind = "ip6tnl"
		}
	}
	want, err := compile(section, f, transition)
	for i, r := range want {
		if tunnel, ok := r.(resource.Tunnel); ok {
			want[i] = bridge{link: tunnel.Link, up: tunnel.Local.IsValid()}
		}
	}
	return want, err
}

func compile(section string, f facts.Facts, transition gateway.Transition) ([]engine.Resource, error) {
	if section == "" {
		return transition.Compile(nil, f), nil
	}
	c, err := schema.Parse("gw.yaml", []byte("mape: "+section+"\n"))
	if err != nil {
		return nil, err
	}
	aim := gateway.Resolve(c, f)
	return transition.Compile(aim.Gateway, f), aim.Err
}
