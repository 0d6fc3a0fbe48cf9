package doctor

import (
	"fmt"
	"slices"
	"strings"

	"mape-netplan/reconcile/gateway"
)

// lan: is there a LAN, and does it stay out of the line's routing?
func (d *diagnosis) lan() Finding {
	for _, name := range append(slices.Clone(d.g.LAN), d.g.Tunnel.Link) {
		if d.linkOf(name).Unforwarded {
			return bad("nothing is forwarded from "+name, fmt.Sprintf("This machine forwards no IPv4 packet that arrives by %s (net.ipv4.conf.%[1]s.forwarding is 0).", name),
				d.sentence(gateway.ForwardingAdvice(name)))
		}
	}
	for _, r := range d.s.Routers {
		if r.RA && r.Link != d.wan && slices.Contains(d.g.LAN, r.Link) {
			return bad(fmt.Sprintf("%s announces itself on %s", r.Via, r.Link),
				fmt.Sprintf("A router advertisement on the LAN (%s) has given this machine an IPv6 default route through %s, beside the line's.", r.Link, r.Via),
				fmt.Sprintf(`Run "`+d.command()+`", which refuses advertisements on %s, and find out what sends them there.`, r.Link))
		}
	}
	for _, name := range d.g.LAN {
		if l := d.linkOf(name); d.kernelRA(l) && (l.AcceptRA == "2" || l.AcceptRA == "1" && l.Forward != "1") {
			return warning(name+" accepts router advertisements",
				fmt.Sprintf("Router advertisements are accepted on the LAN (%s): any host there can become this machine's router.", name),
				fmt.Sprintf(`Run "sudo sysctl -w net.ipv6.conf.%s.accept_ra=0" and put that into /etc/sysctl.d.`, name))
		}
	}
	for _, name := range d.g.LAN {
		if l := d.linkOf(name); !l.Up || !l.Carrier {
			return warning(name+" has no link", fmt.Sprintf("The LAN interface %s has no link, so no LAN host reaches this machine.", name), "Check its cable, or the VM's bridge.")
		}
	}
	if d.c.LAN != nil && len(d.c.LAN) == 0 {
		return good("none, as in the section")
	}
	if len(d.g.LAN) == 0 {
		return warning("there is no LAN", "No interface has a private IPv4 address, so there is no LAN to be a gateway for.",
			"Give the LAN's interface an address such as 192.168.1.1/24, or name it with lan: in the section.")
	}
	return good("%s", strings.Join(d.g.LAN, ", "))
}
