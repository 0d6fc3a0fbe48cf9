package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
)

func (o *options) uninstall() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Stop and remove the units of install; the gateway stays",
		Long: `Stop and remove the units of install. The gateway keeps working until the next
boot or the next change of the line; "remove" removes it.`,
		Example: "  sudo mape-netplan uninstall && sudo mape-netplan remove",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var left bool
			// Without the lock, which the service may hold while it stops.
			changes, err := o.settle(cmd, timeout, func(h *host.Host) []engine.Resource {
				facts, err := facts.Gather(h)
				left = err == nil && len(facts.Owned.Files) > 0
				return cloudinit.Uninstall(h.Booted())
			})
			if left && len(changes) > 0 {
				cmd.PrintErrf("The gateway itself is still there, and %s. \"%s\" removes it, \"%s\" keeps it.\n", unkept, o.command("remove"), o.command("install"))
			}
			return o.report(cmd, changes, gateway.Aim{}, err)
		},
	}
	timeoutFlag(cmd, &timeout, time.Minute, "how long to wait for another run and the units to stop")
	return cmd
}

// unkept is what happens to a gateway without the units.
const unkept = "after a boot the tunnel comes up without NAT and packets leave with private addresses"

// command is a command line of this program for the same machine.
func (o *options) command(verb string) string {
	if o.rootDir != "" {
		verb += " --root-dir " + o.rootDir
	}
	return "mape-netplan " + verb
}

// warnUnkept warns that a gateway does not survive a boot if a unit of install is
// missing.
func (o *options) warnUnkept(cmd *cobra.Command) error {
	h, err := o.open()
	if err != nil {
		return err
	}
	parts := cloudinit.Uninstall(false)
	there, err := engine.Plan(cmd.Context(), h, parts)
	if err == nil && len(there) < len(parts) {
		warn(cmd, []string{fmt.Sprintf("no service keeps the gateway: %s; run %q, or %q before a reboot", unkept, o.command("install"), o.command("remove"))})
	}
	return err
}

// refuseInstalled returns an error if the machine has anything of install.
func (o *options) refuseInstalled(ctx context.Context, h *host.Host) error {
	changes, err := engine.Plan(ctx, h, cloudinit.Uninstall(h.Booted()))
	if err == nil && len(changes) > 0 {
		err = fmt.Errorf("the service is installed and would bring everything back; first run %q", o.command("uninstall"))
	}
	return err
}
