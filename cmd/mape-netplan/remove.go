package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/schema"
)

func (o *options) remove() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "remove",
		Short: "Undo everything that apply did",
		Long: `Undo everything that apply did and restore the machine: the tunnel first, the
guard last. The section's own file stays. While the units of install are there,
which would bring everything back, it refuses.

The old value of ip_forward is recorded in /etc/sysctl.d/99-mape-gw.conf; if that
file is missing, ip_forward is left alone. nf_conntrack_max stays until the next
boot.`,
		Example: "  sudo mape-netplan remove",
		RunE: func(cmd *cobra.Command, _ []string) error {
			changes, err := o.converge(cmd, timeout, (*host.Host).Privileged, func(ctx context.Context, r *reconcile.Run) ([]engine.Resource, error) {
				if err := o.refuseInstalled(ctx, r.Host); err != nil {
					return nil, err
				}
				return o.nothing(ctx, cmd, r.Host)
			})
			return o.report(cmd, changes, gateway.Aim{}, err)
		},
	}
	timeoutFlag(cmd, &timeout, 30*time.Second, "how long to wait for another run and the machine to settle")
	return cmd
}

// nothing compiles a machine without a gateway. Our files tell what was made. The
// section, if there is one, helps if those were deleted by hand: a tunnel of its
// name is ours.
func (o *options) nothing(ctx context.Context, cmd *cobra.Command, h *host.Host) ([]engine.Resource, error) {
	facts, err := facts.Gather(h)
	if err = host.Except(err, skipping(cmd)); err != nil {
		return nil, err
	}
	if name, data, err := cloudinit.Section(ctx, o.config, o.in, o.rootDir); err == nil {
		if c, err := schema.Parse(name, data); err == nil && !slices.Contains(facts.Owned.Tunnels, c.Tunnel) {
			facts.Owned.Tunnels = append(facts.Owned.Tunnels, c.Tunnel)
		}
	}
	return gateway.Compile(nil, facts), nil
}
