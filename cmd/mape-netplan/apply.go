package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mape-netplan/reconcile"
	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/schema"
)

func (o *options) apply() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Make the machine the gateway that the section describes",
		Long: `Make the machine the gateway that the section describes: change what differs, in
an order that lets no untranslated packet out, wait until everything is as
wanted, and roll back if that takes longer than --timeout. Until the line is
there, the guard is, as with "mape-netplan guard". One run at a time changes a
machine; another one waits for it.

A forward whose port is not in the port set is left out, with a warning, unless
the section itself says which line it is for: then it is an error.

Where the section has a registration, the provider is told the CE address if it or
the credentials have changed since it accepted them; a refusal is a warning.

Without the service of install this lasts until the next boot.

Exit codes: 0 done or in sync, 1 failed, or the line did not come in time, 2 bad
section.`,
		Example: "  sudo mape-netplan apply\n  sudo mape-netplan apply -c /etc/mape-netplan.yaml --timeout 1m --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var aim gateway.Aim
			var run *reconcile.Run
			changes, err := o.converge(cmd, timeout, (*host.Host).Suitable, func(ctx context.Context, r *reconcile.Run) (want []engine.Resource, err error) {
				run = r
				want, aim, err = o.gateway(cmd, ctx, r)
				return want, err
			})
			if err == nil {
				warn(cmd, run.Announce(cmd.Context(), aim))
			}
			if err == nil && len(changes) > 0 {
				err = o.warnUnkept(cmd)
			}
			return o.report(cmd, changes, aim, err)
		},
	}
	timeoutFlag(cmd, &timeout, 30*time.Second, "how long to wait for another run, the line and the machine to settle")
	return cmd
}

// converge brings the machine to what want compiles, one run at a time.
func (o *options) converge(cmd *cobra.Command, timeout time.Duration, may func(*host.Host) error, want func(context.Context, *reconcile.Run) ([]engine.Resource, error)) ([]engine.Change, error) {
	return o.change(cmd, timeout, may, func(ctx context.Context, h *host.Host) ([]engine.Change, error) {
		unlock, err := h.Lock(ctx, cmd.CommandPath())
		if err != nil {
			return nil, err
		}
		defer unlock()
		reconcile.Sweep(h)
		run := reconcile.NewRun(h)
		resources, err := want(ctx, run)
		var changes []engine.Change
		switch {
		case err == nil:
			changes, err = run.Converge(ctx, resources)
		case errors.Is(err, discovery.ErrWithdrawn):
			changes, err = withdraw(ctx, run, resources, err)
		}
		if err != nil {
			left, failed := run.TakeBack(context.WithoutCancel(ctx))
			changes, err = append(changes, left...), errors.Join(err, failed)
		}
		return changes, err
	})
}

// change opens the machine if the caller may change it, and calls do with a
// timeout.
func (o *options) change(cmd *cobra.Command, timeout time.Duration, may func(*host.Host) error, do func(context.Context, *host.Host) ([]engine.Change, error)) ([]engine.Change, error) {
	h, err := o.openFor(cmd, may)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), timeout, fmt.Errorf("timed out after %v", timeout))
	defer cancel()
	return do(ctx, h)
}

// gateway compiles the section once the line has what it needs. If the error is
// that the line no longer has MAP-E, the resources take the gateway down.
func (o *options) gateway(cmd *cobra.Command, ctx context.Context, r *reconcile.Run) ([]engine.Resource, gateway.Aim, error) {
	c, err := o.section(ctx, cmd)
	if err != nil {
		return nil, gateway.Aim{}, err
	}
	aim, f, err := r.Await(ctx, c, func(missing error) { cmd.PrintErrf("waiting: %v\n", missing) })
	if err = cmp.Or(err, aim.Err); errors.Is(err, discovery.ErrWithdrawn) {
		return gateway.Withdrawn(c, aim.Line, f, o.compile), aim, o.blame(err)
	}
	warnOf(cmd, aim)
	if err != nil {
		return nil, aim, o.blame(err)
	}
	return o.compile(aim.Gateway, f), aim, nil
}

// withdraw takes down the gateway of a line that no longer has MAP-E, and returns
// why.
func withdraw(ctx context.Context, r *reconcile.Run, nothing []engine.Resource, why error) ([]engine.Change, error) {
	changes, err := r.Converge(ctx, nothing)
	if err == nil && len(changes) > 0 {
		why = fmt.Errorf("%w; so the gateway was taken down", why)
	}
	return changes, errors.Join(why, err)
}

// A result is what apply, install and plan print as JSON.
type result struct {
	Changed bool         `json:"changed"`
	Changes []changeView `json:"changes"`
	short
	Error string `json:"error,omitempty"`
}

type changeView struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// short is what a gateway lacks although it is in sync.
type short struct {
	Held string          `json:"held,omitempty"` // why the gateway is that of the last known line
	Off  schema.Problems `json:"off,omitempty"`  // the forwards that the port set does not have
}

func shortOf(aim gateway.Aim) short { return short{aim.Why(), aim.Off()} }

// warnings are one for each of them.
func (s short) warnings() (all []string) {
	if s.Held != "" {
		all = append(all, s.Held)
	}
	if len(s.Off) > 0 {
		all = append(all, gateway.OffText(s.Off))
	}
	return all
}

// warnOf prints the warnings about a gateway.
func warnOf(cmd *cobra.Command, aim gateway.Aim) {
	warn(cmd, shortOf(aim).warnings())
	warn(cmd, aim.Warnings())
}

func outcome(changes []engine.Change, aim gateway.Aim, err error) result {
	r := result{Changed: len(changes) > 0, Changes: []changeView{}, short: shortOf(aim)}
	for _, c := range changes {
		r.Changes = append(r.Changes, changeView{c.After.Name(), c.Before.Text(), c.After.Text()})
	}
	if err != nil {
		r.Error = strings.TrimSpace(err.Error())
	}
	return r
}

// report prints what a run changed and returns its error.
func (o *options) report(cmd *cobra.Command, changes []engine.Change, aim gateway.Aim, err error) error {
	if o.json {
		if e := printJSON(cmd, outcome(changes, aim, err)); e != nil {
			return e
		}
		return err
	}
	if err != nil {
		return err
	}
	for _, c := range changes {
		fmt.Fprintf(cmd.OutOrStdout(), "%sd %s\n", verb(c), c.After.Name())
	}
	if len(changes) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "unchanged")
	}
	return nil
}

// verb is what a change does to its resource: create, change or remove it.
func verb(c engine.Change) string {
	switch {
	case c.Before.Text() == "":
		return "create"
	case c.After.Text() == "":
		return "remove"
	}
	return "change"
}
