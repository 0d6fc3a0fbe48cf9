package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile"
)

func (o *options) uninstall() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Stop and remove the units of install; the gateway stays",
		Long: `Stop and remove the units of install. The gateway goes on working until the
next boot or the next change of the line; "remove" takes it away.`,
		Example: "  sudo mape-netplan uninstall && sudo mape-netplan remove",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var left bool
			// Without the lock, which the service may hold while it is stopped.
			changes, err := o.settle(cmd, timeout, func(h *reconcile.Host) []reconcile.Resource {
				facts, err := reconcile.Gather(h)
				left = err == nil && len(facts.Owned.Files) > 0
				return cloudinit.Uninstall(h.Booted())
			})
			if left && len(changes) > 0 {
				cmd.PrintErrln("The gateway itself is still there, without what keeps it; \"mape-netplan remove\" takes it away.")
			}
			return o.report(cmd, changes, err)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait for another run and the units to stop")
	return cmd
}

// refuseInstalled is an error where something of install is on the machine.
func refuseInstalled(ctx context.Context, h *reconcile.Host) error {
	changes, err := reconcile.Plan(ctx, h, cloudinit.Uninstall(h.Booted()))
	if err == nil && len(changes) > 0 {
		err = errors.New("the service is installed and would bring everything back; first run \"mape-netplan uninstall\"")
	}
	return err
}
