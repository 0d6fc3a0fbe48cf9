package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"
)

// A timeout is a flag's value that is longer than nothing.
type timeout struct{ *time.Duration }

func (t timeout) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err == nil && d <= 0 {
		err = errors.New("must be positive, such as 30s")
	}
	if err == nil {
		*t.Duration = d
	}
	return err
}

func (timeout) Type() string { return "duration" }

func timeoutFlag(cmd *cobra.Command, d *time.Duration, usual time.Duration, usage string) {
	*d = usual
	cmd.Flags().Var(timeout{d}, "timeout", usage)
	_ = cmd.RegisterFlagCompletionFunc("timeout", cobra.NoFileCompletions)
}
