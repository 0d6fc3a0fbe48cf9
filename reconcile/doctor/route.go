package doctor

import (
	"fmt"
	"slices"
	"strings"

	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/sysctld"
)

// route: does IPv4 go into the tunnel?
func (d *diagnosis) route() Finding {
	if x, ok := d.difference(resource.Sysctl{Key: sysctld.ForwardKey}); ok && x.Before != "" {
		return bad("net.ipv4.ip_forward is 0", "This machine does not forward IPv4 packets of the LAN: net.ipv4.ip_forward is 0.", d.last())
	}
	if d.rivals() != "" {
		return d.rival("has an IPv4 default route of metric 0 as well")
	}
	for _, p := range d.s.Internet {
		if !p.Strays(d.c.Tunnel) {
			continue
		}
		seen := fmt.Sprintf("packets to %s %s", p.To, p.Where(d.c.Tunnel))
		if _, ok := d.difference(resource.Route{Link: d.c.Tunnel}); ok {
			return bad(seen, fmt.Sprintf("This machine has no IPv4 default route into %s.", d.c.Tunnel), d.last())
		}
		advice := p.Advice()
		return bad(seen, fmt.Sprintf("Something takes precedence over the IPv4 default route into %s: %s.", d.c.Tunnel, seen), strings.ToUpper(advice[:1])+advice[1:]+".")
	}
	return good("IPv4 goes into %s", d.c.Tunnel)
}

// rivals is the other default route of metric 0: its link or, if it is of a type without one, the route as ip prints it,
// such as "unreachable default"; "" if there is none.
func (d *diagnosis) rivals() string {
	if link := d.rivalLink(); link != "" || d.f.Nowhere4 == "" {
		return link
	}
	return d.f.Nowhere4 + " default"
}

func (d *diagnosis) rivalLink() string {
	for _, l := range d.f.Links {
		ours := l.Name == d.c.Tunnel || slices.Contains(d.f.Owned.Tunnels, l.Name)
		if l.Default4 != nil && *l.Default4 == 0 && !ours {
			return l.Name
		}
	}
	return ""
}

// rival is the finding of what rivals returns.
func (d *diagnosis) rival(what string) Finding {
	link := d.rivalLink()
	if link == "" {
		route := d.rivals()
		return bad("there is "+route+" of metric 0", fmt.Sprintf(`Another IPv4 default route, "%s", is as good as the tunnel's and drops the packets.`, route),
			fmt.Sprintf(`Look at "ip -4 route": remove "%s" where it is configured, or give it a metric of 100 or more; then run "`+d.command()+`".`, route))
	}
	return bad(link+" "+what, fmt.Sprintf("Another IPv4 default route wins over the tunnel's: %s %s.", link, what),
		fmt.Sprintf(`Look at "ip -4 route": remove the gateway of %s where it is configured (netplan; on Proxmox, gw= in ipconfig), or give its route a metric of 100 or more; then run "`+d.command()+`".`, link))
}
