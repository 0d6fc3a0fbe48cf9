package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/ports"
	"mape-netplan/schema"
)

func (o *options) ports() *cobra.Command {
	var suggest int
	var ascii bool
	cmd := &cobra.Command{
		Use:   "ports",
		Short: "Show how much of the port set is in use",
		Long: `Show how much of the port set is in use, by protocol, by destination and by host,
from the connections that the kernel tracks now. A port can serve any number of
connections as long as each goes to another destination, so what runs out is the
ports towards one of them.

While the line of an earlier run is away, its ports are shown, with a warning. A
forward whose port is not in the port set is listed as off.

--suggest N names N ports that suit mape.forwards: of the set, 1024 or higher, not
forwarded yet and not in use. They are the lowest there are, in a row if possible,
and the first is even, which some services want. Without root it is not known
which ports are in use.

Exit codes: 0 done, 1 failed, or there is neither a line nor one to hold, 2 bad
section.`,
		Example: "  sudo mape-netplan ports\n  mape-netplan ports --suggest 4",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("suggest") {
				return o.suggestPorts(cmd, suggest)
			}
			return o.showPorts(cmd, ascii || !speaksUTF8(os.Getenv))
		},
	}
	cmd.Flags().Var(amount{&suggest}, "suggest", "name N ports that are good for forwarding")
	_ = cmd.RegisterFlagCompletionFunc("suggest", cobra.NoFileCompletions)
	cmd.Flags().BoolVar(&ascii, "ascii", false, "draw with ASCII, as where the locale is not of UTF-8")
	return cmd
}

// speaksUTF8 reports whether the locale of the environment has UTF-8.
func speaksUTF8(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(getenv(name)); locale != "" {
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}

// lookAtLine finds the line that the machine is on or holds.
func (o *options) lookAtLine(cmd *cobra.Command, suggest bool) (h *host.Host, c *schema.Config, aim gateway.Aim, err error) {
	c, err = o.section(cmd)
	if err != nil && !(suggest && c != nil && onlyForwards(err)) {
		return h, c, aim, err
	}
	if h, err = o.open(); err != nil {
		return h, c, aim, err
	}
	f, err := facts.Gather(h)
	if err = host.Except(err, dispensable); err != nil { // Its links say enough.
		return h, c, aim, err
	}
	aim = gateway.Resolve(c, f)
	if l, _, _ := aim.Current(c); !l.Softwire.CE.IsValid() {
		return h, c, aim, o.blame(aim.Err)
	}
	if why := aim.Why(); why != "" {
		warn(cmd, []string{why})
	}
	return h, c, aim, nil
}

// onlyForwards reports whether nothing is wrong but which ports are forwarded: others may be what is asked for.
func onlyForwards(err error) bool {
	var problems schema.Problems
	return errors.As(err, &problems) && !slices.ContainsFunc(problems, func(p schema.Problem) bool {
		return !strings.HasPrefix(p.Path, "mape.forwards[")
	})
}

func (o *options) showPorts(cmd *cobra.Command, ascii bool) error {
	if o.rootDir != "" {
		return exit{exitBad, errors.New("ports conflicts with --root-dir, except with --suggest: it shows the connections of the running system")}
	}
	h, c, aim, err := o.lookAtLine(cmd, false)
	if err != nil {
		return err
	}
	if err := h.Privileged(); err != nil {
		return fmt.Errorf("ports: %w", err)
	}
	l, on, off := aim.Current(c)
	u, err := ports.Look(h, l, on)
	if err != nil {
		return fmt.Errorf("ports: %w", err)
	}
	u.ListForwards(c.Forwards, on)
	if len(off) > 0 {
		u.Warnings = append(u.Warnings, gateway.OffText(off))
	}
	if o.json {
		return printJSON(cmd, struct {
			IPv4 string `json:"ipv4"`
			short
			ports.Usage
		}{address(u.Address), short{aim.Why(), off}, u})
	}
	warn(cmd, u.Warnings)
	return printUsage(cmd.OutOrStdout(), u, picture(ascii))
}

func (o *options) suggestPorts(cmd *cobra.Command, n int) error {
	if n < 1 || n > 1<<16-1 {
		return exit{exitBad, fmt.Errorf("--suggest %d: must be from 1 to 65535", n)}
	}
	h, c, aim, err := o.lookAtLine(cmd, true)
	if err != nil {
		return err
	}
	l, on, _ := aim.Current(c)
	u := ports.NewUsage(l, on)
	if h.Live() {
		live, err := ports.Look(h, l, on)
		switch {
		case err == nil:
			u = live
		case errors.Is(err, fs.ErrPermission):
			cmd.PrintErrln("warning: only root can see which ports are in use, so these may be")
		default:
			cmd.PrintErrf("warning: the ports that are in use now are unknown: %v\n", err)
		}
	}
	numbers, idle, err := u.Suggest(n)
	if err != nil {
		return fmt.Errorf("--suggest %d: %w", n, err)
	}
	if !idle {
		cmd.PrintErrf("warning: there are not as many idle ports now; forwarding one of these closes the connections that use it\n")
	}
	if o.json {
		views := []portsView{}
		for _, r := range numbers {
			views = append(views, portsView(r))
		}
		return printJSON(cmd, struct {
			Ports []portsView `json:"ports"`
		}{views})
	}
	fmt.Fprintln(cmd.OutOrStdout(), ports.Ports(numbers))
	return nil
}

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
