package resource

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
)

// A Route is the IPv4 default route into the tunnel, in the main table.
type Route struct {
	Link   string
	Routes []netlink.Route // one, as defaultRoute makes it; none is absent
}

// DefaultRoute is what netplan's "scope: link" makes: the tunnel has no next
// hop.
func DefaultRoute(link string) Route {
	return Route{link, []netlink.Route{{
		Scope: netlink.SCOPE_LINK, Family: netlink.FAMILY_V4, Protocol: unix.RTPROT_STATIC,
		Type: unix.RTN_UNICAST, Table: unix.RT_TABLE_MAIN, Dst: kernel.IPNet(netip.PrefixFrom(netip.IPv4Unspecified(), 0)),
	}}}
}

// ErrRival is about a default route that only luck tells from the tunnel's.
var ErrRival = errors.New("another IPv4 default route has metric 0 as well; remove it, or give it a metric where it is configured (netplan: routes: [{to: default, via: ..., metric: 100}])")

func (r Route) Name() string { return "route default dev " + r.Link }

func (r Route) Traits() engine.Traits { return engine.Traits{Link: r.Link, Event: engine.RouteEvent} }

func (r Route) Absent() engine.Resource { return Route{Link: r.Link} }

// Text uses the words of "ip route".
func (r Route) Text() string {
	var b strings.Builder
	for _, x := range r.Routes {
		b.WriteString(describe(x))
	}
	return b.String()
}

func (r Route) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	link, err := kernel.LinkByName(h, r.Link)
	if link == nil {
		return Route{Link: r.Link}, err
	}
	routes, err := kernel.DefaultRoutes(h, link)
	return Route{r.Link, routes}, err
}

// describe shows a default route by what can be wrong with it.
func describe(x netlink.Route) string {
	var b strings.Builder
	if len(x.Gw) > 0 {
		fmt.Fprintf(&b, "via %s ", x.Gw)
	}
	fmt.Fprintf(&b, "scope %s", x.Scope)
	if x.Priority != 0 {
		fmt.Fprintf(&b, " metric %d", x.Priority)
	}
	if x.MTU != 0 {
		fmt.Fprintf(&b, " mtu %d", x.MTU)
	}
	return b.String() + "\n"
}

// Write removes what is there and adds the route: with its metric 0 it can
// only be added where no other default route of metric 0 is.
func (r Route) Write(_ context.Context, h *host.Host) error {
	link, err := linkOf(h, r.Link, len(r.Routes) > 0)
	if link == nil || err != nil {
		return err
	}
	routes, err := kernel.DefaultRoutes(h, link)
	if err != nil {
		return err
	}
	for _, x := range routes {
		if err := h.Net.RouteDel(&x); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	for _, x := range r.Routes {
		x.LinkIndex = link.Attrs().Index // The link may have been made again.
		x.Flags &= unix.RTNH_F_ONLINK    // The kernel lists the flag of a link without a carrier, and refuses it (EINVAL).
		err := h.Net.RouteAdd(&x)
		// networkd adds the same route as soon as the link is there.
		if routes, e := kernel.DefaultRoutes(h, link); errors.Is(err, unix.EEXIST) && e == nil && len(routes) > 0 {
			continue
		}
		if errors.Is(err, unix.EEXIST) {
			return ErrRival
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// linkOf returns the interface that a resource is on; nil, and no error, where it does not exist and nothing is wanted of it.
func linkOf(h *host.Host, name string, wanted bool) (netlink.Link, error) {
	link, err := kernel.LinkByName(h, name)
	if err == nil && link == nil && wanted {
		err = fmt.Errorf("there is no interface %s", name)
	}
	return link, err
}
