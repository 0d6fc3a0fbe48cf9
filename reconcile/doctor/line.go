package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mape-netplan/reconcile/doctor/symptom"
	"mape-netplan/reconcile/line"
)

// link: is the WAN interface up, with something at the other end?
func (d *diagnosis) link() Finding {
	if d.wan == "" {
		return d.anyLink()
	}
	if _, ok := d.f.Link(d.wan); !ok {
		return bad("there is no interface "+d.wan, fmt.Sprintf("The section says that the line is at %s, and this machine has no interface of that name.", d.wan),
			fmt.Sprintf("Correct wan: in the section (there are: %s), or give the machine that network card.", cmp.Or(strings.Join(d.names(), ", "), "none")))
	}
	l := d.linkOf(d.wan)
	switch {
	case !l.Up:
		return bad(d.wan+" is switched off", fmt.Sprintf("The WAN interface %s is switched off.", d.wan),
			fmt.Sprintf(`Run "sudo ip link set %s up"; if it is off again after a reboot, nothing configures it: add it to netplan.`, d.wan))
	case !l.Carrier:
		return noLink(d.wan)
	case l.Speed > 0:
		return good("%s is up, %d Mb/s", d.wan, l.Speed)
	}
	return good("%s is up", d.wan)
}

// anyLink is link while the WAN is not known.
func (d *diagnosis) anyLink() Finding {
	all := line.Interfaces(d.c, d.f)
	if len(all) == 0 {
		return bad("there are only LAN interfaces", "This machine has no interface that the line could be at.",
			"Give the machine a second network card that is connected to the line.")
	}
	var with []string
	for _, name := range all {
		if d.linkOf(name).Carrier {
			with = append(with, name)
		}
	}
	if len(with) == 0 {
		return noLink(strings.Join(all, " and "))
	}
	return good("there is a link on %s", strings.Join(with, ", "))
}

func noLink(name string) Finding {
	return bad(name+" has no link", fmt.Sprintf("The WAN interface %s has no link: nothing is connected to it, or what is connected is switched off.", name),
		"Check the cable and the power of the ONU or home gateway; on Proxmox, that the VM's network device is on the right bridge and not disconnected.")
}

func (d *diagnosis) names() []string {
	var all []string
	for _, l := range d.f.Links {
		if !l.Loopback && l.Name != "ip6tnl0" && l.Name != d.c.Tunnel {
			all = append(all, l.Name)
		}
	}
	return all
}

// router: is there an IPv6 router on the line, and does it answer?
func (d *diagnosis) router() Finding {
	i := slices.IndexFunc(d.s.Routers, func(r symptom.Router) bool { return r.Link == d.wan })
	if err := d.line.NoWAN; err != nil && !errors.Is(err, line.ErrNotYet) && len(d.s.Routers) > 1 {
		return bad("several interfaces have an IPv6 default route", d.sentence(words(err)),
			"Write wan: with the name of the line's interface into the section, and make sure that nothing sends router advertisements on the others.")
	}
	l := d.linkOf(d.wan)
	other, elsewhere := d.otherRouter()
	switch {
	case i >= 0 && d.s.Routers[i].Silent && !d.s.Routers[i].RA:
		return bad(fmt.Sprintf("%s does not answer on %s", d.s.Routers[i].Via, d.wan),
			fmt.Sprintf("The fixed IPv6 default route of %s points to %s, which does not answer.", d.wan, d.s.Routers[i].Via),
			`Compare that address with the router's own, correct the route where it is configured, or leave it out and accept router advertisements; if the address is right, restart the ONU or home gateway.`)
	case i >= 0 && d.s.Routers[i].Silent:
		return bad(fmt.Sprintf("%s does not answer on %s", d.s.Routers[i].Via, d.wan),
			fmt.Sprintf("The line's router %s has announced itself on %s, but does not answer now.", d.s.Routers[i].Via, d.wan),
			"Wait a minute for its next announcement. If it stays silent, restart the ONU or home gateway.")
	case i >= 0 && d.kernelRA(l) && d.ignoresRA(l): // With networkd the route shows that it accepts them.
		return warning(fmt.Sprintf("%s is the router, but %s forwards IPv6 and does not accept the next advertisement", d.s.Routers[i].Via, d.wan),
			d.ignoresText(l), d.ignoresAdvice(l))
	case i >= 0 && !d.s.Routers[i].RA:
		return good("%s is the router on %s, by a fixed route", d.s.Routers[i].Via, d.wan)
	case i >= 0:
		return good("%s announces itself on %s", d.s.Routers[i].Via, d.wan)
	case d.s.Relay != nil && d.s.Relay.Error == "" && d.s.Relay.Link == d.wan && d.wan != "":
		return good("%s has a route to the border relay", d.wan)
	case other.RA && slices.Contains(d.c.LAN, other.Link): // The section has swapped WAN and LAN, and what the LAN lacks is meant.
		return d.noRA()
	case l.Disabled:
		return bad("IPv6 is switched off on "+d.wan, fmt.Sprintf("IPv6 is switched off on %s, and the whole line is IPv6.", d.wan),
			fmt.Sprintf(`Run "sudo sysctl -w net.ipv6.conf.%s.disable_ipv6=0", and remove what sets it at boot (/etc/sysctl.d, ipv6.disable=1 on the kernel's command line).`, d.wan))
	case !l.LinkLocal && l.Name != "":
		return d.noLinkLocal(l)
	case d.ignoresRA(l):
		return bad(fmt.Sprintf("no router is known on %s, and it forwards IPv6", d.wan), d.ignoresText(l), d.ignoresAdvice(l))
	case d.c.WAN != "" && elsewhere: // The section probably names the wrong link.
		return d.noRA()
	case l.Networkd == "no" || l.Networkd == "" && d.kernelRA(l) && l.AcceptRA == "0":
		return bad(d.wan+" ignores router advertisements", fmt.Sprintf("%s is configured to ignore router advertisements, and so gets neither the line's router nor its prefix.", d.wan),
			d.acceptAdvice())
	}
	return d.noRA()
}

// noLinkLocal is router for a link that cannot send a router solicitation, nor accept what answers it.
func (d *diagnosis) noLinkLocal(l symptom.Link) Finding {
	seen := l.Name + " has no link-local address"
	text := fmt.Sprintf("%s has no IPv6 link-local address, and so gets no router advertisements", l.Name)
	switch {
	case l.Duplicate:
		return bad(seen+" of its own", fmt.Sprintf("Another host on the line has the link-local address of %s, and so %[1]s gets no router advertisements: as a rule both have the same MAC address.", l.Name),
			"Give one of them another MAC address, as after a virtual machine has been cloned, and start it again.")
	case l.NoLinkLocal != "" && d.f.Netplan:
		return bad(seen, text+fmt.Sprintf(": its netplan file says so with link-local (LinkLocalAddressing=%s in networkd's).", l.NoLinkLocal),
			fmt.Sprintf(`Take "link-local:" out of what netplan has for %s, or write "link-local: [ipv6]", and run "sudo netplan apply".`, l.Name))
	case l.NoLinkLocal != "":
		return bad(seen, text+fmt.Sprintf(": LinkLocalAddressing=%s in its .network file.", l.NoLinkLocal),
			`Write "LinkLocalAddressing=ipv6" there and run "sudo networkctl reload".`)
	}
	return bad(seen, text+".", fmt.Sprintf(`Run "sudo ip link set %s addrgenmode eui64", then set it down and up again, and find out what has set "addrgenmode none".`, l.Name))
}

func (d *diagnosis) noRA() Finding {
	where := d.wan
	if where == "" {
		where = "any of " + strings.Join(d.candidates(), ", ")
	}
	elsewhere, move := "", ""
	if r, ok := d.otherRouter(); ok {
		elsewhere = fmt.Sprintf(" (%s has a fixed route to %s instead)", r.Link, r.Via)
		if r.RA {
			elsewhere = fmt.Sprintf(" (one has arrived on %s instead)", r.Link)
		}
		move = fmt.Sprintf(`If the line is at %s, %s. `, r.Link, d.name(r.Link))
	}
	var again []string
	for _, name := range d.candidates() {
		again = append(again, fmt.Sprintf("sudo ip link set %[1]s down; sudo ip link set %[1]s up", name))
	}
	return d.withFirewalls(bad("no router announces itself on "+where+elsewhere,
		fmt.Sprintf("No router advertisement has arrived on %s%s: the line sends none, or they are lost on the way.", where, elsewhere),
		move+fmt.Sprintf(`Run "sudo tcpdump -ni %s icmp6" to see whether any arrive (one every few minutes, and one after "%s"). If not, restart the ONU or home gateway, and on a Proxmox bridge turn multicast snooping off.`, cmp.Or(d.wan, "any"), strings.Join(again, "; "))))
}

// otherRouter is a router on another link than the WAN, preferably one with a route from its router advertisements.
func (d *diagnosis) otherRouter() (symptom.Router, bool) {
	all := slices.DeleteFunc(slices.Concat(d.s.Routers, d.s.Heard), func(r symptom.Router) bool { return r.Link == d.wan })
	if i := slices.IndexFunc(all, func(r symptom.Router) bool { return r.RA }); i >= 0 {
		return all[i], true
	}
	if len(all) > 0 {
		return all[0], true
	}
	return symptom.Router{}, false
}

// name is what to write into the section to put the line at a link.
func (d *diagnosis) name(link string) string {
	if slices.Contains(d.c.LAN, link) {
		return fmt.Sprintf(`write "wan: %s" and the LAN's own interface as "lan:" into the section`, link)
	}
	return fmt.Sprintf(`write "wan: %s" into the section`, link)
}

// candidates are the WAN or, while it is not known, the links that can be it.
func (d *diagnosis) candidates() []string {
	if d.wan != "" {
		return []string{d.wan}
	}
	return line.Interfaces(d.c, d.f)
}

// kernelRA reports whether the kernel, not networkd, handles router advertisements on a link.
func (d *diagnosis) kernelRA(l symptom.Link) bool {
	known, ok := d.f.Link(l.Name)
	return ok && known.NetworkFile == ""
}

// ignoresRA reports whether a link ignores router advertisements because IPv6 forwarding is on: the kernel's accept_ra
// must be 2 then (Documentation/networking/ip-sysctl), and networkd's IPv6AcceptRA= be set.
func (d *diagnosis) ignoresRA(l symptom.Link) bool {
	forwards := l.Forward == "1" || d.s.Forward
	if d.kernelRA(l) {
		return l.Forward == "1" && l.AcceptRA == "1"
	}
	return forwards && l.Networkd == "" && l.Name != ""
}

func (d *diagnosis) ignoresText(l symptom.Link) string {
	if !d.kernelRA(l) {
		return fmt.Sprintf("No router advertisement has been accepted on %s, and IPv6 forwarding is on: networkd before version 256 ignores them then, unless it is configured to accept them (as accept_ra=2 does for the kernel).", l.Name)
	}
	return fmt.Sprintf("IPv6 forwarding is on, and so %s ignores router advertisements: with accept_ra=2 it would accept them.", l.Name)
}

func (d *diagnosis) ignoresAdvice(l symptom.Link) string {
	if d.kernelRA(l) {
		return fmt.Sprintf(`Run "sudo sysctl -w net.ipv6.conf.%s.accept_ra=2" and put that into /etc/sysctl.d, or turn IPv6 forwarding off (net.ipv6.conf.all.forwarding=0).`, l.Name)
	}
	return d.acceptAdvice()
}

func (d *diagnosis) acceptAdvice() string {
	if d.kernelRA(d.linkOf(d.wan)) {
		return fmt.Sprintf(`Run "sudo sysctl -w net.ipv6.conf.%s.accept_ra=2" and put that into /etc/sysctl.d.`, d.wan)
	}
	if d.f.Netplan {
		return fmt.Sprintf(`Write "accept-ra: true" for %s into the netplan file that defines it and run "sudo netplan apply".`, d.wan)
	}
	return fmt.Sprintf(`Write "IPv6AcceptRA=yes" into the [Network] section of %s's .network file and run "sudo networkctl reload".`, d.wan)
}
