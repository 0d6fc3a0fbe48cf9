package gateway

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/sysctld"
	"mape-netplan/schema"
)

// notices are warnings of a machine whatever the section says.
func notices(f facts.Facts) []string {
	if !f.Live || f.Networkd {
		return nil
	}
	return []string{"systemd-networkd is not running: nothing configures the WAN and the LAN by their files, nor the tunnel at the next boot; run \"systemctl enable --now systemd-networkd\""}
}

// warn adds warnings of what is legal and probably not meant.
func (g *Gateway) warn(c *schema.Config, f facts.Facts) {
	wan := g.WAN
	if most := InnerMTU(g.Softwire, wan.MTU); wan.MTU > 0 && g.Tunnel.MTU > most {
		g.Warnings = append(g.Warnings, fmt.Sprintf("mtu %d is more than fits through %s: packets over %d bytes will be fragmented", g.Tunnel.MTU, wan.Name, most))
	}
	for _, l := range f.Links {
		if l.Default4 != nil && *l.Default4 > 0 && l.Name != g.Tunnel.Link {
			g.Warnings = append(g.Warnings, fmt.Sprintf("%s has an IPv4 default route too, of metric %d: the tunnel's has metric 0 and wins", l.Name, *l.Default4))
		}
	}
	if f.Live && wan.Default6 == nil {
		g.Warnings = append(g.Warnings, fmt.Sprintf("%s has no IPv6 default route: no router announces itself there, and nothing gets through the tunnel; run \"mape-netplan doctor\"", wan.Name))
	}
	if f.Live {
		for _, file := range dormant(f) {
			g.Warnings = append(g.Warnings, fmt.Sprintf("%s has an IPv4 default route of metric 0: once its interface is up, that takes the place of the tunnel's; give it a metric", file))
		}
	}
	g.Warnings = append(g.Warnings, g.overridden(f)...)
	g.otherRouters(f)
	known := len(f.Delegations) > 0 || slices.ContainsFunc(wan.Addresses, line.OfLine)
	if c.Prefix.IsValid() && known && !line.OnLine(wan, g.Softwire.CE()) && !line.DelegatedFrom(f, g.Softwire.CE()) {
		g.Warnings = append(g.Warnings, fmt.Sprintf("no address of %s is in %s, the line that mape.prefix says", wan.Name, line.HomeOf(g.Softwire.CE())))
	}
	if g.Softwire.NAT && g.Pool.First == 0 {
		g.Warnings = append(g.Warnings, "the port set has no port above 1023 that is not forwarded, and the NAT draws from none below: nothing will get out")
	}
	if g.Untranslated != nil && !slices.ContainsFunc(f.Links, func(l kernel.Link) bool {
		return slices.Contains(g.LAN, l.Name) && slices.ContainsFunc(l.Inet4(), func(p netip.Prefix) bool { return g.leaves(p.Addr()) })
	}) {
		g.Warnings = append(g.Warnings, fmt.Sprintf("no LAN interface has an IPv4 address that may leave by %s (%s): nothing of the LAN will get out", g.Tunnel.Link, g.Softwire.Inner.Masked()))
	}
	if f.Unfiltered != "" {
		g.Warnings = append(g.Warnings, fmt.Sprintf("%s cannot have a filter of its own (%s): whenever something flushes the ruleset of nftables, packets leave untranslated until the table is back", g.Tunnel.Link, f.Unfiltered))
	}
	if trouble := f.FarEnds[discovery.Fold(g.FarEnd)].Trouble(); trouble != "" {
		g.Warnings = append(g.Warnings, fmt.Sprintf("%s; %s stays the far end of %s", trouble, g.Tunnel.Remote, g.Tunnel.Link))
	}
	if a := f.Announced; g.Contract != nil && a.Trouble() != "" && a.CE == g.Softwire.CE() {
		g.Warnings = append(g.Warnings, a.Trouble())
	}
	g.unreachable(f)
}

// leaves reports whether an address leaves untranslated.
func (g *Gateway) leaves(a netip.Addr) bool {
	return slices.ContainsFunc(g.Untranslated, func(p netip.Prefix) bool { return p.Contains(a) })
}

// otherRouters adds warnings of IPv6 default routes that the tunnel's packets may take to another router than the line's:
// its provider drops them, because their source is another line's.
func (g *Gateway) otherRouters(f facts.Facts) {
	wan := g.WAN
	if wan.Default6 == nil {
		return
	}
	for _, l := range f.Links {
		if l.Default6 != nil && *l.Default6 <= *wan.Default6 && l.Name != wan.Name {
			g.Warnings = append(g.Warnings, fmt.Sprintf("%s has an IPv6 default route of metric %d, and %s has one of %d: packets of the tunnel may leave by %[1]s; give that route a higher metric (networkd: RouteMetric= in [IPv6AcceptRA])",
				l.Name, *l.Default6, wan.Name, *wan.Default6))
		}
	}
	routers := 0
	for _, metric := range wan.Routers6 {
		if metric == *wan.Default6 {
			routers++
		}
	}
	if routers > 1 {
		g.Warnings = append(g.Warnings, fmt.Sprintf("%s has %d IPv6 default routers, and packets of the tunnel may go to any of them; if these are not all the line's own, set mape.prefix, and give the others' routes a higher metric or keep them off this link",
			wan.Name, routers))
	}
}

// unreachable adds warnings of forwards to hosts outside of every network of this machine.
func (g *Gateway) unreachable(f facts.Facts) {
	if !f.Live {
		return
	}
	warned := map[netip.Addr]bool{}
	for i, forward := range g.Forwards {
		to := forward.To.Addr()
		near := slices.ContainsFunc(f.Links, func(l kernel.Link) bool {
			return l.Name != g.Tunnel.Link && slices.ContainsFunc(l.Addresses, func(a kernel.Inet) bool { return a.Prefix.Contains(to) })
		})
		if !near && !warned[to] {
			warned[to] = true
			g.Warnings = append(g.Warnings, fmt.Sprintf("forwards[%d]: %s is in no network of this machine; it gets the packets only if there is a route, and must send its answers back through here", i, to))
		}
	}
}

// Strays are warnings of packets that this machine does not send into the tunnel
// although the tunnel and its route are as wanted. Changes are what a run would
// change: if one of these two is among them, that explains it, and there is no
// warning.
func (g *Gateway) Strays(h *host.Host, changes []engine.Change) []string {
	pending := slices.ContainsFunc(changes, func(c engine.Change) bool {
		t := c.After.Traits()
		return t.Makes == g.Tunnel.Link || t.Event == engine.RouteEvent
	})
	if !h.Live() || pending {
		return nil
	}
	var all []string
	var former kernel.Path
	for _, to := range facts.InternetAddresses {
		p := kernel.PathTo(h, to)
		same := p.Link == former.Link && p.Route == former.Route && p.Table == former.Table && p.Error == former.Error
		if former = p; same || !p.Strays(g.Tunnel.Link) {
			continue
		}
		all = append(all, fmt.Sprintf("packets of this machine to the internet (%s) %s; %s", to, p.Where(g.Tunnel.Link), p.Advice()))
	}
	for _, name := range append(slices.Clone(g.LAN), g.Tunnel.Link) {
		if Unforwarded(h, name) {
			all = append(all, fmt.Sprintf("packets that arrive by %s are not forwarded: net.ipv4.conf.%[1]s.forwarding is 0; %s", name, ForwardingAdvice(name)))
		}
	}
	return all
}

// Unforwarded reports whether the kernel forwards IPv4, but not from a link: a change of net.ipv4.ip_forward sets that for every
// link, and networkd since version 256, or a line of sysctl.d, for one.
func Unforwarded(h *host.Host, link string) bool {
	value := func(key string) string {
		data, _ := h.Sys.ReadFile(key)
		return strings.TrimSpace(string(data))
	}
	return value(sysctld.ForwardKey) == "1" && value(sysctld.LinkForwardKey(link)) == "0"
}

// ForwardingAdvice is what to do about that.
func ForwardingAdvice(link string) string {
	return fmt.Sprintf(`run "sysctl -w net.ipv4.conf.%s.forwarding=1", and have no file set it to 0 (networkd: IPv4Forwarding=; /etc/sysctl.d)`, link)
}
