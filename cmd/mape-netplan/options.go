package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/line"
	"mape-netplan/schema"
)

// options are the flags that every verb has.
type options struct {
	config, rootDir, prefix string
	factsFile               string // of plan and compute
	json                    bool
	in                      io.Reader

	// What the verbs work on and what a gateway is made of, for tests in namespaces on a kernel without ip6_tunnel.
	machine func(rootDir string) (*host.Host, error)
	compile func(*gateway.Gateway, facts.Facts) []engine.Resource
	watched time.Duration // how long doctor watches what passes the tunnel
}

func newOptions(in io.Reader) *options {
	return &options{in: in, machine: host.Open, compile: gateway.Compile, watched: 2 * time.Second}
}

// hasFile reports whether the command line names a section or the default file
// exists.
func (o *options) hasFile() bool {
	_, err := os.Stat(o.rootDir + cloudinit.DefaultPath)
	return o.config != "" || !errors.Is(err, os.ErrNotExist)
}

// section reads and checks the section, and prints its warnings.
func (o *options) section(ctx context.Context, cmd *cobra.Command) (*schema.Config, error) {
	c, _, err := o.read(ctx)
	if c != nil {
		for _, w := range c.Warnings {
			cmd.PrintErrln(w)
		}
	}
	return c, err
}

// read reads and checks the section, which may be returned with an error, for its
// warnings, with its text.
func (o *options) read(ctx context.Context) (*schema.Config, []byte, error) {
	name, data, err := cloudinit.Section(ctx, o.config, o.in, o.rootDir)
	if err != nil {
		return nil, nil, exit{exitBad, err}
	}
	c, err := schema.Parse(name, data)
	if err != nil {
		return nil, nil, err
	}
	if o.prefix != "" {
		if c.Prefix, err = schema.ParsePrefix(o.prefix); err != nil {
			return c, nil, exit{exitBad, fmt.Errorf("--prefix: %w", err)}
		}
	}
	c.Warnings = append(c.Warnings, exposed(c, name)...)
	return c, data, o.blame(line.Check(c))
}

// exposed warns of a password in a file that other users can read.
func exposed(c *schema.Config, file string) schema.Problems {
	info, err := os.Stat(file)
	path := "discover.password"
	if c.IPIP != nil && c.IPIP.Registration != nil {
		path = "ipip.registration"
	} else if c.Discover == nil {
		return nil
	}
	if err != nil || !info.Mode().IsRegular() || info.Mode()&0o004 == 0 {
		return nil
	}
	w := c.Problem(path, "the file is world-readable; run \"chmod 600 %s\"", file)
	w.Warning = true
	return schema.Problems{w}
}

// refusal is why there is no gateway to show, or why the section has to be changed, although the last one is held.
func (o *options) refusal(aim gateway.Aim) error {
	if aim.Gateway == nil || aim.Bad() {
		return o.blame(aim.Err)
	}
	return nil
}

// blame attributes a problem with the prefix to --prefix if it comes from there.
func (o *options) blame(err error) error {
	var problems schema.Problems
	if o.prefix != "" && errors.As(err, &problems) && problems[0].Path == "mape.prefix" {
		return exit{exitBad, fmt.Errorf("--prefix %s: %s", o.prefix, problems[0].Message)}
	}
	return err
}

// open opens the machine, or the directory that stands for it.
func (o *options) open() (*host.Host, error) {
	return o.machine(o.rootDir)
}

// openFor opens the machine for a verb that may use it unless may returns an error.
func (o *options) openFor(cmd *cobra.Command, may func(*host.Host) error) (*host.Host, error) {
	h, err := o.open()
	if err != nil {
		return nil, err
	}
	if err := may(h); err != nil {
		return nil, fmt.Errorf("%s: %w", cmd.Name(), err)
	}
	return h, nil
}

// gather opens the machine and looks at it. Files for which skip is true may be missing among the facts.
func (o *options) gather(skip func(host.FileError) bool) (*host.Host, facts.Facts, error) {
	h, err := o.open()
	if err != nil {
		return nil, facts.Facts{}, err
	}
	f, err := facts.Gather(h)
	return h, f, host.Except(err, skip)
}

func warn(cmd *cobra.Command, warnings []string) {
	for _, w := range warnings {
		cmd.PrintErrf("warning: %s\n", w)
	}
}

func printJSON(cmd *cobra.Command, v any) error { return encode(cmd.OutOrStdout(), v) }

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
