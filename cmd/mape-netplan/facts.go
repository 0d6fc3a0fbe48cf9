package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"mape-netplan/reconcile"
)

func (o *options) facts() *cobra.Command {
	return &cobra.Command{
		Use:   "facts",
		Short: "Print what the program knows of the machine",
		Long: `Print what the program knows of the machine, as JSON: interfaces and their
addresses, default routes, delegated prefixes, what netplan and networkd
configure, what earlier runs made, and what other programs have in nf_tables.
All that is made of a section is made of this: "plan --facts FILE" plans for the
machine on another one. Nothing is touched; without root, what may not be read
is left out with a warning.`,
		Example: "  sudo mape-netplan facts >gateway.json\n  mape-netplan plan -c gateway.yaml --facts gateway.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := o.open()
			if err != nil {
				return err
			}
			h.Hidden = func(name string, err error) {
				cmd.PrintErrf("warning: %s may not be read and is left out: %v\n", name, err)
			}
			if h.Privileged() != nil {
				cmd.PrintErrln("warning: without root, what is in nf_tables is left out, and so is what only root may read of the files")
			}
			facts, err := reconcile.Gather(h)
			if err != nil {
				return err
			}
			return printJSON(cmd, facts)
		},
	}
}

// factsFlag is for the verbs that need no machine when its facts are given.
func (o *options) factsFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.factsFile, "facts", "", "look at the machine of this `FILE`, which \"facts\" printed, instead of this one; - is stdin")
}

// givenFacts are those of the file that --facts names.
func (o *options) givenFacts() (f reconcile.Facts, err error) {
	defer func() {
		if err != nil {
			err = exit{exitBad, fmt.Errorf("--facts: %w", err)}
		}
	}()
	if o.rootDir != "" {
		return f, errors.New("does not go with --root-dir: give the one or the other machine")
	}
	var data []byte
	switch {
	case o.factsFile != "-":
		data, err = os.ReadFile(o.factsFile)
	case o.config == "-":
		err = errors.New("the section is on stdin already: give one of the two as a file")
	default:
		data, err = io.ReadAll(o.in)
	}
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, fmt.Errorf("%s is not what mape-netplan facts prints: %w", o.factsFile, err)
	}
	if f.Links == nil {
		return f, fmt.Errorf("%s is not what mape-netplan facts prints: it has no links", o.factsFile)
	}
	return f, nil
}
