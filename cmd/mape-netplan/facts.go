package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/netplan"
)

func (o *options) facts() *cobra.Command {
	return &cobra.Command{
		Use:   "facts",
		Short: "Print what the program knows about the machine",
		Long: `Print what the program knows about the machine, as JSON: interfaces and their
addresses, default routes, delegated prefixes, what netplan and networkd
configure, what earlier runs made, and what other programs have in nf_tables. It
contains MAC and IP addresses, but no credentials. "plan --facts FILE" plans for
that machine on another one. Nothing is touched; without root, what cannot be
read is left out with a warning.`,
		Example: "  sudo mape-netplan facts >gateway.json\n  mape-netplan plan -c gateway.yaml --facts gateway.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := o.open()
			if err != nil {
				return err
			}
			if h.Privileged() != nil {
				cmd.PrintErrln("warning: without root, what is in nf_tables is left out, and so is what only root may read of the files")
			}
			facts, err := facts.Gather(h)
			err = host.Except(err, func(e host.FileError) bool {
				if !errors.Is(e, fs.ErrPermission) {
					return skipping(cmd)(e)
				}
				cmd.PrintErrf("warning: file %s cannot be read and is left out: %v\n", e.Path, e.Err)
				return true
			})
			if err != nil {
				return err
			}
			return printJSON(cmd, facts)
		},
	}
}

// dispensable reports whether commands that are not about a file can do without
// it: one that only root can read, or one that is not a netplan file.
func dispensable(e host.FileError) bool {
	return errors.Is(e, fs.ErrPermission) || errors.As(e, new(netplan.Broken))
}

// skipping warns of a dispensable file and skips it.
func skipping(cmd *cobra.Command) func(host.FileError) bool {
	return func(e host.FileError) bool {
		if dispensable(e) {
			cmd.PrintErrf("warning: file %s is skipped: %v\n", e.Path, e.Err)
		}
		return dispensable(e)
	}
}

// factsFlag adds --facts to a verb that can plan for another machine.
func (o *options) factsFlag(cmd *cobra.Command) {
	cmd.Flags().Var(word{&o.factsFile, "FILE"}, "facts", "look at the machine of this file, which \"facts\" printed, instead of this one; - is stdin")
}

// givenFacts are those of the file that --facts names.
func (o *options) givenFacts(ctx context.Context) (f facts.Facts, err error) {
	defer func() {
		if err != nil {
			err = exit{exitBad, fmt.Errorf("--facts: %w", err)}
		}
	}()
	if o.rootDir != "" {
		return f, errors.New("conflicts with --root-dir")
	}
	name, data := o.factsFile, []byte(nil)
	switch {
	case name != "-":
		data, err = host.ReadNamed(ctx, name)
	case o.config == "-":
		return f, errors.New("conflicts with --config -: only one of the two can be stdin")
	default:
		name = "stdin"
		data, err = host.ReadStream(ctx, o.in)
	}
	if err != nil {
		return f, fmt.Errorf("%s: %w", name, err)
	}
	if f, err = facts.Parse(data); err != nil {
		return f, fmt.Errorf("%s is not what \"mape-netplan facts\" prints: %w; make it with \"sudo mape-netplan facts >FILE\"", name, err)
	}
	return f, nil
}
