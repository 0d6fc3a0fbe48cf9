package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mape-netplan/schema"
)

const about = `mape-netplan turns a Linux machine into the IPv4 gateway of an IPv6-only line
(MAP-E, RFC 7597). It reads a mape: section of a few lines, shows what it would
change, changes it, checks the result, and rolls back if something failed. A run
that finds nothing to do does nothing.

Exit codes: 0 done or in sync, 1 failed, 2 bad section or command line,
3 plan or install --dry-run found differences.`

// noArguments refuses an unknown command, or an argument of a command that has
// none, as a bad command line.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !cmd.HasSubCommands() {
		return exit{exitBad, fmt.Errorf("%s takes no arguments; remove %q", cmd.CommandPath(), args[0])}
	}
	hint := "the commands are " + strings.Join(available(cmd), ", ")
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return exit{exitBad, fmt.Errorf("unknown command %q for %q; %s", args[0], cmd.CommandPath(), hint)}
}

// available lists the commands of a command that its help shows.
func available(cmd *cobra.Command) (names []string) {
	for _, verb := range cmd.Commands() {
		if verb.IsAvailableCommand() {
			names = append(names, verb.Name())
		}
	}
	return names
}

// help is the help command. For an unknown command cobra's own prints the help
// of the root and exits with 0.
func help() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Print the help of a command",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			verb, _, _ := cmd.Root().Find(args)
			return available(verb), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			verb, rest, err := cmd.Root().Find(args)
			if err == nil {
				err = noArguments(verb, rest)
			}
			if err != nil {
				return err
			}
			verb.InitDefaultHelpFlag()
			return verb.Help()
		},
	}
}

// badFlag makes the error of a flag one of the command line, with the flag that
// was probably meant.
func badFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		if near := schema.Nearest(unknown.GetSpecifiedName(), known); near != "" {
			err = fmt.Errorf("%w; did you mean --%s?", err, near)
		}
	}
	return exit{exitBad, err}
}

// addCompletion adds cobra's command that prints completion scripts for shells.
// It writes to the output that root has now.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, verb := range root.Commands() {
		if verb.Name() != "completion" {
			continue
		}
		verb.Args = noArguments
		verb.RunE = func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return exit{code: exitBad}
		}
		for _, shell := range verb.Commands() {
			shell.Args = noArguments
		}
	}
}
