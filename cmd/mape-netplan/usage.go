package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"mape-netplan/reconcile/ports"
)

// A palette draws how full a range is: empty, then ever fuller. blank is a range that NAT draws nothing from.
type palette struct {
	levels       []rune
	blank, mark  string
	explanations string
}

func picture(ascii bool) palette {
	if ascii {
		return palette{[]rune(".123456789#"), "-", "^", ". none in use, 1-9 tenths, # all"}
	}
	return palette{[]rune("·▁▂▃▄▅▆▇█"), "-", "^", "· none in use, █ all"}
}

// draw is one sign for used of all ports.
func (p palette) draw(used, all int) string {
	if all == 0 {
		return p.blank
	}
	most := len(p.levels) - 1
	return string(p.levels[min(most, (used*most+all-1)/all)])
}

func printUsage(out io.Writer, u ports.Usage, p palette) error {
	fmt.Fprintf(out, "%s: %d ports for each protocol", address(u.Address), u.Ports)
	if n := forwarded(u); n > 0 {
		fmt.Fprintf(out, ", %d forwarded", n)
	}
	fmt.Fprint(out, "\n\n")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tports in use\tconnections\tmost ports towards one destination")
	for _, t := range u.Protocols {
		busiest := "-"
		if d := t.Busiest; d != nil {
			busiest = d.Address.String()
			if d.Port != 0 {
				busiest = fmt.Sprintf("%s:%d", d.Address, d.Port)
			}
			busiest = fmt.Sprintf("%s, %s", busiest, share(d.Ports, u.Ports))
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", t.Protocol, share(t.Used, u.Ports), t.Connections, busiest)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	printPicture(out, u, p)
	printForwards(w, u)
	printHosts(w, u)
	return w.Flush()
}

func forwarded(u ports.Usage) (n int) {
	for _, r := range u.Ranges {
		n += r.Forwarded
	}
	return n
}

// share is "211 of 1008 = 21 %".
func share(n, all int) string {
	if all == 0 {
		return fmt.Sprintf("%d of 0", n)
	}
	return fmt.Sprintf("%d of %d = %d %%", n, all, (100*n+all/2)/all)
}

func printPicture(out io.Writer, u ports.Usage, p palette) {
	fmt.Fprintln(out)
	addresses := 1 << (32 - u.Address.Bits())
	for _, t := range u.Protocols {
		line := ""
		for _, r := range u.Ranges {
			line += p.draw(r.Used[t.Protocol], r.Ports*addresses)
		}
		fmt.Fprintf(out, "%-4s %s\n", t.Protocol, line)
	}
	marks := ""
	for _, r := range u.Ranges {
		if r.Forwarded > 0 {
			marks += p.mark
		} else {
			marks += " "
		}
	}
	legend := p.explanations
	if marks = strings.TrimRight(marks, " "); marks != "" {
		fmt.Fprintf(out, "     %s\n", marks)
		legend += ", ^ has forwarded ports"
	}
	first, last := u.Ranges[0], u.Ranges[len(u.Ranges)-1]
	fmt.Fprintf(out, "     one sign for each range from %d-%d to %d-%d; %s\n", first.First, first.Last, last.First, last.Last, legend)
}

func printForwards(w io.Writer, u ports.Usage) {
	if len(u.Forwards) == 0 {
		return
	}
	fmt.Fprintln(w, "\nforwarded\tto\tconnections")
	for _, f := range u.Forwards {
		protocol := f.Protocol
		if protocol == "both" {
			protocol = "tcp and udp"
		}
		connections := fmt.Sprint(f.Connections)
		if f.Off {
			connections = "off: not in the port set"
		}
		fmt.Fprintf(w, "%s %s\t%s\t%s\n", protocol, f.Ports, f.To, connections)
	}
}

// printHosts shows those that use most.
func printHosts(w io.Writer, u ports.Usage) {
	const most = 10
	if len(u.Hosts) == 0 {
		return
	}
	fmt.Fprint(w, "\nports of host")
	for _, t := range u.Protocols {
		fmt.Fprintf(w, "\t%s", t.Protocol)
	}
	fmt.Fprintln(w)
	for _, h := range u.Hosts[:min(most, len(u.Hosts))] {
		fmt.Fprint(w, h.Address)
		for _, t := range u.Protocols {
			fmt.Fprintf(w, "\t%d", h.Used[t.Protocol])
		}
		fmt.Fprintln(w)
	}
	if more := len(u.Hosts) - most; more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
}
