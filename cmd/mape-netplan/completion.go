package main

import "github.com/spf13/cobra"

// addCompletion adds the command that prints scripts for shells, which is
// cobra's own. It keeps the output that root has now.
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
