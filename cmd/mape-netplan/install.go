package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/line"
)

func (o *options) install() *cobra.Command {
	var timeout time.Duration
	var dry bool
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install the service: apply, and keep it so from now on and at every boot",
		Long: `Make the machine the gateway that the section describes, as apply does, and keep
it so, from now on and at every boot. Two units are written, enabled and started:
mape-netplan-guard.service protects the tunnel before any network is up, and
mape-netplan.service follows the line and repairs drift. If the line does not
come in time, the service goes on waiting for it. With -c FILE the units read
that file.

Run it again after you replace the program. With --root-dir only the units are
put in place, and the gateway is made at that machine's first boot.

Exit codes: 0 done or in sync, 1 failed, 2 bad section; of --dry-run: 0 in sync,
3 there are differences.`,
		Example: "  sudo mape-netplan install\n  sudo mape-netplan install --dry-run",
		RunE: func(cmd *cobra.Command, _ []string) error {
			units, err := o.units()
			if err != nil {
				return err
			}
			if dry {
				changes, aim, err := o.installPlan(cmd, units)
				return o.preview(cmd, changes, aim, err)
			}
			var aim gateway.Aim
			changes, err := o.converge(cmd, timeout, (*host.Host).Suitable, func(ctx context.Context, r *reconcile.Run) (want []engine.Resource, err error) {
				o.warnOld(cmd, r.Host)
				want, aim, err = o.gatewayIfThere(cmd, ctx, timeout, r)
				return want, err
			})
			if err == nil {
				var more []engine.Change
				if more, err = o.settle(cmd, timeout, units); err != nil && o.rootDir == "" {
					err = fmt.Errorf("the gateway was applied, but the service was not installed: %w", err)
				}
				changes = append(changes, more...)
			}
			return o.report(cmd, changes, aim, err)
		},
	}
	timeoutFlag(cmd, &timeout, time.Minute, "how long to wait for another run, the line and the machine to settle, and as long for the units")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would change, as plan does, and change nothing")
	return cmd
}

// units checks the command line of the units and returns the function that
// compiles them.
func (o *options) units() (func(*host.Host) []engine.Resource, error) {
	if o.prefix != "" {
		return nil, exit{exitBad, errors.New("--prefix is for one run, and the units run at every boot; write the prefix into the section")}
	}
	config, err := cloudinit.Path(o.config, o.rootDir)
	if err != nil {
		return nil, exit{exitBad, err}
	}
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	program, err := cloudinit.Program(executable, o.rootDir)
	if err != nil {
		return nil, err
	}
	return func(h *host.Host) []engine.Resource { return cloudinit.Install(program, config, h.Booted()) }, nil
}

// settle converges the units without the lock: the runs that it starts and stops
// wait for the lock.
func (o *options) settle(cmd *cobra.Command, timeout time.Duration, units func(*host.Host) []engine.Resource) ([]engine.Change, error) {
	return o.change(cmd, timeout, (*host.Host).Privileged, func(ctx context.Context, h *host.Host) ([]engine.Change, error) {
		return engine.Converge(ctx, h, units(h))
	})
}

// gatewayIfThere compiles the section as apply does. If the line does not have
// what it needs in half of the time, that is left to the service, and what is
// missing is a warning. A directory gets its gateway when it is booted.
func (o *options) gatewayIfThere(cmd *cobra.Command, ctx context.Context, timeout time.Duration, r *reconcile.Run) ([]engine.Resource, gateway.Aim, error) {
	if !r.Live() {
		return nil, gateway.Aim{}, o.sectionIfThere(cmd)
	}
	soon, cancel := context.WithTimeoutCause(ctx, timeout/2, fmt.Errorf("timed out after %v", timeout/2))
	defer cancel()
	resources, aim, err := o.gateway(cmd, soon, r)
	if errors.Is(err, line.ErrNotYet) && ctx.Err() == nil {
		warn(cmd, []string{fmt.Sprintf("there is no gateway yet, the service waits for the line: %v", err)})
		return nil, aim, nil
	}
	return resources, aim, err
}

// sectionIfThere checks the section of an image, which may also arrive at its
// first boot.
func (o *options) sectionIfThere(cmd *cobra.Command) error {
	if !o.hasFile() {
		return nil
	}
	_, err := o.section(cmd.Context(), cmd)
	return err
}

// installPlan is what install and then the service would change: without a line
// only the units, or what holds the last line.
func (o *options) installPlan(cmd *cobra.Command, units func(*host.Host) []engine.Resource) ([]engine.Change, gateway.Aim, error) {
	var aim gateway.Aim
	h, err := o.open()
	if err != nil {
		return nil, aim, err
	}
	hidden := takenForAbsent(cmd)
	if err := h.Unsupported(); err != nil {
		return nil, aim, err
	}
	var want []engine.Resource
	if h.Live() {
		c, err := o.section(cmd.Context(), cmd)
		if err != nil {
			return nil, aim, err
		}
		f, err := facts.Gather(h)
		if err = host.Except(err, hidden.file); err != nil {
			return nil, aim, err
		}
		aim = gateway.Resolve(c, f)
		warnOf(cmd, aim)
		switch {
		case aim.Gateway != nil && !aim.Bad():
			want = o.compile(aim.Gateway, f)
		case errors.Is(aim.Err, line.ErrNotYet):
			warn(cmd, []string{aim.Err.Error()})
			if want, err = gateway.PrefixRequest(c, aim.Line, f); err != nil && !errors.Is(err, line.ErrNotYet) {
				return nil, aim, o.blame(err)
			}
		default:
			return nil, aim, o.blame(aim.Err)
		}
	} else if err := o.sectionIfThere(cmd); err != nil {
		return nil, aim, err
	}
	changes, err := engine.PlanWithout(cmd.Context(), h, append(want, units(h)...), hidden.warn)
	return changes, aim, err
}

// oldScript is the script that earlier releases had cloud-init run at every boot.
const oldScript = "/var/lib/cloud/scripts/per-boot/mape-netplan"

// warnOld warns of a script that is no longer needed. It changes nothing on a
// machine that is in sync.
func (o *options) warnOld(cmd *cobra.Command, h *host.Host) {
	if _, err := h.Root.Lstat(oldScript[1:]); err == nil {
		warn(cmd, []string{fmt.Sprintf("%s of earlier releases is no longer needed: sudo rm %s", oldScript, oldScript)})
	}
}
