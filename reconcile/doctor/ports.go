package doctor

import (
	"fmt"
	"strings"

	"mape-netplan/reconcile/doctor/symptom"
)

const (
	portsFull = 98 // percent of the set towards one destination: the kernel gives up its search before all are in use
	portsMany = 85
	dnsMany   = 25 // percent of the set for DNS, which could use IPv6
	dnsPort   = 53
	tracked   = 95 // percent of nf_conntrack_max
)

// ports: is the port set, or the table of connections, exhausted?
func (d *diagnosis) ports() Finding {
	if t := d.s.Tracked; t.Max > 0 && t.Count*100 >= t.Max*tracked {
		return bad(fmt.Sprintf("%d of %d connections", t.Count, t.Max), fmt.Sprintf("The kernel's table of connections is full (%d of %d), and new ones are dropped.", t.Count, t.Max),
			`Write "conntrack: {max: `+fmt.Sprint(2*t.Max)+`}" into the section and run "`+d.command()+`"; "mape-netplan ports" shows which host has how many.`)
	}
	u := d.s.Ports
	if u == nil || u.Ports == 0 {
		return skipped("it is not known which ports are in use%s", d.why("ports"))
	}
	if len(u.Busiest) == 0 {
		return good("none of %d in use", u.Ports)
	}
	top := u.Busiest[0]
	seen := fmt.Sprintf("%d of %d towards %s", top.Ports, u.Ports, destination(u, 0))
	switch {
	case top.Port == dnsPort: // for the check of DNS
	case top.Ports*100 >= u.Ports*portsFull:
		return bad(seen, fmt.Sprintf("The port set is exhausted: %s. Most ports: %s; most destinations: %s.", seen, d.hosts(), d.destinations()),
			"Find out what that host does with so many connections to one server, and limit it there; a line with a fixed IPv4 address has more ports.")
	case top.Ports*100 >= u.Ports*portsMany:
		return warning(seen, fmt.Sprintf("The port set is nearly exhausted: %s. Most ports: %s.", seen, d.hosts()), `Run "mape-netplan ports" from time to time, and find out what that host does.`)
	}
	return good("%s", seen)
}

// dns: do queries that could go over IPv6 use up the ports?
func (d *diagnosis) dns() Finding {
	u := d.s.Ports
	if u == nil || u.Ports == 0 {
		return skipped("it is not known which ports are in use%s", d.why("ports"))
	}
	for i, b := range u.Busiest {
		if b.Port != dnsPort || b.Ports*100 < u.Ports*dnsMany {
			continue
		}
		seen := fmt.Sprintf("%d of %d ports towards %s", b.Ports, u.Ports, destination(u, i))
		f := warning(seen, fmt.Sprintf("DNS over IPv4 uses up the ports: %s. Most ports: %s.", seen, d.hosts()),
			"Let the LAN's hosts ask a resolver that answers over IPv6, or one on this machine (dnsmasq, unbound) that asks over IPv6; hand it out by DHCP instead of a public IPv4 resolver.")
		if b.Ports*100 >= u.Ports*portsFull {
			f.State = Bad
		}
		return f
	}
	return good("queries over IPv4 use few ports")
}

func destination(u *symptom.Ports, i int) string {
	b := u.Busiest[i]
	if b.Port == 0 {
		return fmt.Sprintf("%s (%s)", b.Address, b.Protocol)
	}
	return fmt.Sprintf("%s:%d (%s)", b.Address, b.Port, b.Protocol)
}

// hosts are the LAN hosts with most ports in use.
func (d *diagnosis) hosts() string {
	var all []string
	for _, h := range d.s.Ports.Hosts[:min(3, len(d.s.Ports.Hosts))] {
		n := 0
		for _, used := range h.Used {
			n += used
		}
		all = append(all, fmt.Sprintf("%s has %d", h.Address, n))
	}
	if all == nil {
		return "none"
	}
	return strings.Join(all, ", ")
}

func (d *diagnosis) destinations() string {
	var all []string
	for i, b := range d.s.Ports.Busiest[:min(3, len(d.s.Ports.Busiest))] {
		all = append(all, fmt.Sprintf("%s has %d", destination(d.s.Ports, i), b.Ports))
	}
	return strings.Join(all, ", ")
}
