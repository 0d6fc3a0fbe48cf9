package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

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
	c, err = o.section(cmd.Context(), cmd)
	if err != nil && !(suggest && c != nil && onlyForwards(err)) {
		return h, c, aim, err
	}
	h, f, err := o.gather(dispensable) // Its links say enough.
	if err != nil {
		return h, c, aim, err
	}
	aim = gateway.Resolve(c, f)
	if l, _, _ := aim.Current(c); !l.Softwire.Known() {
		return h, c, aim, o.blame(aim.Err)
	}
	if l, _, _ := aim.Current(c); l.Softwire.Unforwardable() != "" {
		return h, c, aim, fmt.Errorf("there is no port set: %s", l.Softwire.Unforwardable())
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
