package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	"github.com/spf13/cobra"

	"mape-netplan/reconcile"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/host"
	"mape-netplan/schema"
)

// guardTimeout is how long guard waits for another run, which loads a guard of
// its own before it waits for anything.
const guardTimeout = 10 * time.Second

func (o *options) guard() *cobra.Command {
	var stop bool
	cmd := &cobra.Command{
		Use:   "guard",
		Short: "Block untranslated packets before the network is up",
		Long: `Load the nftables table alone, before any network is up, so that nothing leaves
by the tunnel untranslated while the rest is not there yet. If the files of an
earlier run are there, it is the whole NAT of that line, and the gateway works as
soon as the tunnel does; otherwise the table blocks the tunnel. A section that
cannot be read does not prevent that: the last good one takes its place.

With --stop, at the end of a unit: if, and only if, the machine is shutting down,
take the tunnel down, because nftables.service is about to flush the table.`,
		Example: "  sudo mape-netplan guard",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.rootDir != "" {
				return exit{exitBad, errors.New("guard conflicts with --root-dir: it protects the running system")}
			}
			h, err := host.OpenEarly()
			if err != nil {
				return err
			}
			if err := h.Privileged(); err != nil {
				return fmt.Errorf("guard: %w", err)
			}
			if stop {
				return o.guardStop(cmd, h)
			}
			return o.putGuard(cmd, h)
		},
	}
	cmd.Flags().BoolVar(&stop, "stop", false, "if the machine is shutting down, take the tunnel down")
	return cmd
}

// A guardView is what guard prints as JSON.
type guardView struct {
	Changed      bool     `json:"changed"`
	Tunnels      []string `json:"tunnels"`
	IPv4         string   `json:"ipv4,omitempty"` // the shared address of the remembered line
	Why          string   `json:"why,omitempty"`  // why no line is remembered
	untranslated bool
}

func (o *options) putGuard(cmd *cobra.Command, h *host.Host) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), guardTimeout)
	defer cancel()
	c := o.anySection(ctx, cmd, h)
	unlock, err := h.Lock(ctx, cmd.CommandPath())
	switch {
	case err == nil:
		defer unlock()
	case errors.Is(err, host.ErrLocked):
		return err
	default: // Without the table packets would leave untranslated.
		cmd.PrintErrf("warning: working without a lock: %v\n", err)
	}
	g, made, err := reconcile.NewRun(h).PutGuard(ctx, c)
	if err != nil {
		return err
	}
	v := guardView{Changed: made, Tunnels: g.Tunnels}
	if g.Line != nil {
		v.IPv4, v.untranslated = g.Line.Softwire.Inner.String(), !g.Line.Softwire.NAT
	}
	if g.Why != nil {
		v.Why = g.Why.Error()
	}
	if o.json {
		return printJSON(cmd, v)
	}
	if made {
		fmt.Fprintf(cmd.OutOrStdout(), "guarded %s: %s\n", strings.Join(g.Tunnels, ", "), v.text())
	} else {
		fmt.Fprintln(cmd.OutOrStdout(), "unchanged")
	}
	return nil
}

func (v guardView) text() string {
	if v.Why != "" {
		return "nothing passes (" + v.Why + ")"
	}
	if v.untranslated {
		return "the filter of " + v.IPv4
	}
	return "the NAT of " + v.IPv4
}

// anySection is the section, or with a warning the copy of the last good one, or nil:
// a machine with a bad section must not lose its guard.
func (o *options) anySection(ctx context.Context, cmd *cobra.Command, h *host.Host) *schema.Config {
	c, err := o.section(ctx, cmd)
	if err == nil {
		return c
	}
	last, _ := facts.LastSection(h)
	what := "guarding without a section"
	if last != nil {
		what = "guarding with the last good section, a copy of which is in " + facts.SectionPath
	}
	cmd.PrintErrf("warning: %s: %s\n", what, strings.TrimSpace(err.Error()))
	return last
}

// guardStop takes the tunnel down before the table is flushed, if the machine is
// shutting down. If a unit is stopped for another reason, the gateway keeps
// working.
func (o *options) guardStop(cmd *cobra.Command, h *host.Host) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), guardTimeout)
	defer cancel()
	state, err := systemState(ctx)
	if err != nil {
		return fmt.Errorf("reading the system state from systemd: %w", err)
	}
	if state != "stopping" {
		fmt.Fprintf(cmd.OutOrStdout(), "unchanged: the machine is not shutting down (systemd says %s)\n", state)
		return nil
	}
	shut, err := reconcile.Shut(h, o.anySection(ctx, cmd, h))
	for _, tunnel := range shut {
		fmt.Fprintf(cmd.OutOrStdout(), "set down tunnel %s\n", tunnel)
	}
	return err
}

// systemState is what "systemctl is-system-running" prints, over systemd's private
// socket, which exists until the end of the shutdown.
func systemState(ctx context.Context) (string, error) {
	c, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return "", err
	}
	defer c.Close()
	state, err := c.GetManagerProperty("SystemState")
	return strings.Trim(state, `"`), err
}
