package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"mape-netplan/schema"
)

func (o *options) validate() *cobra.Command {
	return &cobra.Command{
		Use:   "validate",
		Short: "Check the section",
		Long: `Check the section and print every problem at once, each as
"file:line:col: mape.path: sentence" with the source line and a caret.
The machine is not looked at.`,
		Example: "  mape-netplan validate -c examples/ocn.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.section(cmd.Context(), cmd)
			if !o.json {
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), "valid")
				}
				return err
			}
			problems := schema.Problems{}
			if c != nil {
				problems = append(problems, c.Warnings...)
			}
			var found schema.Problems
			if errors.As(err, &found) {
				problems = append(problems, found...)
			} else if err != nil {
				return err
			}
			result := struct {
				Valid    bool            `json:"valid"`
				Problems schema.Problems `json:"problems"`
			}{err == nil, problems}
			if e := printJSON(cmd, result); e != nil || err == nil {
				return e
			}
			return exit{code: exitBad}
		},
	}
}
