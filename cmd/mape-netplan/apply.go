package main

import (
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

Without the service of install this lasts until the next boot.`,
		Example: "  sudo mape-netplan apply\n  sudo mape-netplan apply -c /etc/mape-netplan.yaml --timeout 1m --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			changes, err := o.converge(cmd, timeout, func(ctx context.Context, r *reconcile.Run) ([]engine.Resource, error) {
				return o.gateway(cmd, ctx, r)
			})
			if err == nil && len(changes) > 0 {
				err = o.warnUnkept(cmd)
			}
			return o.report(cmd, changes, err)
		},
	}
	timeoutFlag(cmd, &timeout, 30*time.Second, "how long to wait for another run, the line and the machine to settle")
	return cmd
}

// converge brings the machine to what want compiles, one run at a time.
func (o *options) converge(cmd *cobra.Command, timeout time.Duration, want func(context.Context, *reconcile.Run) ([]engine.Resource, error)) ([]engine.Change, error) {
	return o.change(cmd, timeout, func(ctx context.Context, h *host.Host) ([]engine.Change, error) {
		unlock, err := h.Lock(ctx, cmd.CommandPath())
		if err != nil {
			return nil, err
		}
		defer unlock()
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

// change opens the machine for somebody who may change it, and bounds the time.
func (o *options) change(cmd *cobra.Command, timeout time.Duration, do func(context.Context, *host.Host) ([]engine.Change, error)) ([]engine.Change, error) {
	h, err := o.open()
	if err != nil {
		return nil, err
	}
	if err := h.Privileged(); err != nil {
		return nil, fmt.Errorf("%s: %w", cmd.Name(), err)
	}
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), timeout, fmt.Errorf("the timeout of %v is over", timeout))
	defer cancel()
	return do(ctx, h)
}

// gateway compiles the section, once the line has what it needs. With the error
// that says that it never will comes what takes the gateway down.
func (o *options) gateway(cmd *cobra.Command, ctx context.Context, r *reconcile.Run) ([]engine.Resource, error) {
	c, err := o.section(cmd)
	if err != nil {
		return nil, err
	}
	g, facts, err := r.Await(ctx, c, func(missing error) { cmd.PrintErrf("waiting: %v\n", missing) })
	if errors.Is(err, discovery.ErrWithdrawn) {
		return gateway.Compile(nil, facts), o.blame(err)
	}
	if err != nil {
		return nil, o.blame(err)
	}
	warn(cmd, g.Warnings)
	return gateway.Compile(g, facts), nil
}

// withdraw takes down what earlier runs made of a line that has no MAP-E any
// more, and returns why.
func withdraw(ctx context.Context, r *reconcile.Run, nothing []engine.Resource, why error) ([]engine.Change, error) {
	changes, err := r.Converge(ctx, nothing)
	if err == nil && len(changes) > 0 {
		why = fmt.Errorf("%w; so the gateway was taken down", why)
	}
	return changes, errors.Join(why, err)
}

// A result is what apply and plan print as JSON.
type result struct {
	Changed bool         `json:"changed"`
	Changes []changeView `json:"changes"`
	Error   string       `json:"error,omitempty"`
}

type changeView struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
}

func outcome(changes []engine.Change, err error) result {
	r := result{Changed: len(changes) > 0, Changes: []changeView{}}
	for _, c := range changes {
		r.Changes = append(r.Changes, changeView{c.After.Name(), c.Before.Text(), c.After.Text()})
	}
	if err != nil {
		r.Error = strings.TrimSpace(err.Error())
	}
	return r
}

// report prints what a run changed and returns its error.
func (o *options) report(cmd *cobra.Command, changes []engine.Change, err error) error {
	if o.json {
		if e := printJSON(cmd, outcome(changes, err)); e != nil {
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
