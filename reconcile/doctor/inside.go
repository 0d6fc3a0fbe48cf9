package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"mape-netplan/reconcile"
)

// nat: is the table there?
func (d *consult) nat() Finding {
	x, differs := d.difference(reconcile.TableName)
	switch {
	case differs && x.Error != "":
		return bad(x.Error, d.sentence("The NAT cannot be looked at: "+x.Error), "Run this as root.")
	case differs && x.Before == "":
		return bad(reconcile.TableName+" is missing",
			"The nftables table ip mape is missing, so there is no NAT: private addresses leave, and no answer comes back.",
			d.tableAdvice())
	case differs:
		return bad(reconcile.TableName+" is not as it should be", "Somebody has changed the nftables table ip mape, or the line's address has changed.", d.mend())
	}
	return good("%s translates to %s", reconcile.TableName, d.line.Softwire.IPv4.Masked())
}

func (d *consult) tableAdvice() string {
	if d.s.Units != nil && !d.installed() {
		return d.mend() + " Nothing but its service brings the table back at boot."
	}
	return d.mend() + " If it goes missing again, something flushes the ruleset: nftables.service does when it starts or reloads."
}

// firewalls: does another program stop the gateway's packets?
func (d *consult) firewalls() Finding {
	var sure, may []reconcile.Obstacle
	for _, o := range d.g.Obstacles(d.f) {
		if o.Sure {
			sure = append(sure, o)
		} else {
			may = append(may, o)
		}
	}
	switch all := slices.Concat(sure, may); {
	case len(sure) > 0:
		return bad(d.count(all), "Another firewall on this machine is in the way: "+sure[0].What+".", d.sentence(sure[0].Advice))
	case len(may) > 0:
		return warning(d.count(all), "Another firewall on this machine may be in the way: "+may[0].What+".", d.sentence(may[0].Advice))
	}
	return good("none is in the way")
}

func (d *consult) count(all []reconcile.Obstacle) string {
	if len(all) == 1 {
		return all[0].What
	}
	return fmt.Sprintf("%s (and %d more)", all[0].What, len(all)-1)
}

// answers: does anything come back?
func (d *consult) answers() Finding {
	t, br := d.s.Tunnel, d.line.Softwire.BR
	dead := fmt.Sprintf("The border relay %s is silent: packets leave through %s, and nothing comes back.", br, d.c.Tunnel)
	advice := `The relay does not answer a CE whose address, rule or contract is wrong. Compare "mape-netplan compute" with the provider's calculator or router, ask whether the contract has IPv4 over IPv6 (MAP-E), and see that no other MAP-E router is on the line.`
	if p := d.s.Probe; p != nil {
		return d.probed(p, dead, advice)
	}
	const sure = ` "mape-netplan doctor --probe" makes sure.`
	switch {
	case t.Lately.RX > 0:
		return good("%d packets left and %d came back in %s", t.Lately.TX, t.Lately.RX, t.Watched.Round(time.Second))
	case t.Lately.TX >= enoughSent:
		return bad(fmt.Sprintf("%d packets left and none came back in %s", t.Lately.TX, t.Watched.Round(time.Second)), dead, advice+sure)
	case t.Total.RX == 0 && t.Total.TX >= enoughSent:
		return bad(fmt.Sprintf("%d packets have left and none has ever come back", t.Total.TX), dead, advice+sure)
	}
	return good("%d packets have left and %d have come back so far", t.Total.TX, t.Total.RX)
}

func (d *consult) probed(p *Probe, dead, advice string) Finding {
	var yes, no []string
	for _, a := range p.Answers {
		if what := fmt.Sprintf("%s %s", a.Protocol, a.To); a.OK {
			yes = append(yes, what)
		} else {
			no = append(no, fmt.Sprintf("%s (%s)", what, a.Error))
		}
	}
	if f := d.ports(); len(yes) == 0 && f.State == Bad {
		return skipped("nobody answers, but %s", f.Seen)
	}
	switch t := d.s.Tunnel; {
	case len(no) == 0:
		return good("%d questions, all answered", len(yes))
	case len(yes) == 0 && t.Lately.TX > 0 && t.Lately.RX == 0:
		return bad("nobody answers: "+strings.Join(no, ", "), dead, advice)
	case len(yes) == 0:
		return bad("nobody answers: "+strings.Join(no, ", "),
			fmt.Sprintf("None of the probed servers answers through %s (%d packets left, %d came back).", d.c.Tunnel, t.Lately.TX, t.Lately.RX),
			"See whether these servers are alive, and try others with probe: in the section.")
	}
	return warning("no answer from "+strings.Join(no, ", "), "Some of the probed servers do not answer: "+strings.Join(no, ", ")+".",
		"See whether these servers answer at all, and try others with probe: in the section.")
}

// lan: does the LAN's side disturb?
func (d *consult) lan() Finding {
	for _, r := range d.s.Routers {
		if r.RA && r.Link != d.wan && slices.Contains(d.g.LAN, r.Link) {
			return bad(fmt.Sprintf("%s announces itself on %s", r.Via, r.Link),
				fmt.Sprintf("A router advertisement on the LAN (%s) has given this machine an IPv6 default route through %s, beside the line's.", r.Link, r.Via),
				fmt.Sprintf(`Type "`+d.command()+`", which refuses advertisements on %s, and find out what sends them there.`, r.Link))
		}
	}
	for _, name := range d.g.LAN {
		if l := d.linkOf(name); d.kernelRA(l) && (l.AcceptRA == "2" || l.AcceptRA == "1" && l.Forward != "1") {
			return warning(name+" accepts router advertisements",
				fmt.Sprintf("Router advertisements are accepted on the LAN (%s): whoever sends one there becomes this machine's router.", name),
				fmt.Sprintf(`Type "sudo sysctl -w net.ipv6.conf.%s.accept_ra=0" and put that into /etc/sysctl.d.`, name))
		}
	}
	for _, name := range d.g.LAN {
		if l := d.linkOf(name); !l.Up || !l.Carrier {
			return warning(name+" has no link", fmt.Sprintf("The LAN interface %s has no link, so no host of the home gets here.", name), "Check its cable, or the VM's bridge.")
		}
	}
	if d.c.LAN != nil && len(d.c.LAN) == 0 {
		return good("none, as the section says")
	}
	if len(d.g.LAN) == 0 {
		return warning("there is no LAN", "No interface has a private IPv4 address, so there is no LAN to be a gateway for.",
			"Give the LAN's interface an address such as 192.168.1.1/24, or name it with lan: in the section.")
	}
	return good("%s", strings.Join(d.g.LAN, ", "))
}

// settings: is all the rest as apply makes it?
func (d *consult) settings() Finding {
	if f, ok := d.refused(); ok {
		return f
	}
	var names []string
	for _, x := range d.s.Differences {
		names = append(names, x.Name)
	}
	if len(names) == 0 {
		return good("everything else is as apply makes it")
	}
	return warning("not as apply makes it: "+strings.Join(names, ", "),
		fmt.Sprintf("Some of what this program makes is not as it should be, and may stop working at the next boot: %s.", strings.Join(names, ", ")), d.mend())
}
