package main

import (
	"github.com/spf13/cobra"

	"mape-netplan/cloudinit"
)

func (o *options) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "mape-netplan",
		Short:         "From a mape: section to a working MAP-E gateway",
		Long:          about,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,

		SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asked, _ := cmd.Flags().GetBool("version"); asked {
				_, err := cmd.OutOrStdout().Write([]byte(versionText()))
				return err
			}
			_ = cmd.Help()
			return exit{code: exitBad}
		},
	}
	flags := root.PersistentFlags()
	flags.VarP(word{&o.config, "FILE"}, "config", "c", "the file with the section; - is stdin (default "+cloudinit.DefaultPath+")")
	flags.BoolVar(&o.json, "json", false, "print the result as one JSON object")
	flags.Var(word{&o.rootDir, "DIR"}, "root-dir", "work on the files below a directory and leave the running system out")
	flags.Var(word{&o.prefix, "P"}, "prefix", "the line's IPv6 prefix, instead of the section's")
	_ = root.MarkPersistentFlagDirname("root-dir") // these fail only for an unknown flag
	_ = root.RegisterFlagCompletionFunc("prefix", cobra.NoFileCompletions)
	// Not cobra's own: its template makes the linker keep every exported method, 4 MB.
	root.Flags().BoolP("version", "v", false, "print the version")
	root.SetFlagErrorFunc(badFlag)
	root.AddCommand(o.validate(), o.facts(), o.compute(), o.plan(), o.apply(), o.install(), o.status(), o.doctor(), o.ports(), o.remove(), o.uninstall(), o.guard(), o.watch(), version())
	for _, verb := range root.Commands() {
		verb.Args, verb.ValidArgsFunction = noArguments, cobra.NoFileCompletions
	}
	root.SetHelpCommand(help())
	return root
}
