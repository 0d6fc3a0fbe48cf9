package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/schema"
)

func (o *options) plan() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what apply would do",
		Long: `Show what apply would do, as a unified diff for each resource and a last line
that counts them, and change nothing. Without root, what cannot be read counts
as absent.

A file that is given with -c, names no WAN and is for another line than this
machine's is planned for an example gateway that has nothing yet (WAN eth1, LAN
eth0). With --facts the plan is for the machine that the facts describe. Its
files are not among the facts, so everything is shown as new.

Until a prefix has been delegated, the plan is the request for one. While the
line of an earlier run is away, the plan is for that line, which the service
holds; where the line has withdrawn its service, that the gateway is taken down. A
forward whose port is not in the port set is left out. Warnings say so.

Exit codes: 0 in sync, also with a line that is held; 1 there is neither a line
nor one to hold; 2 bad section; 3 there are differences.`,
		Example: "  mape-netplan plan -c examples/ocn.yaml\n  mape-netplan plan -c gateway.yaml --facts gateway.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			changes, aim, err := o.changes(cmd)
			return o.preview(cmd, changes, aim, err)
		},
	}
	o.factsFlag(cmd)
	return cmd
}

// preview prints planned changes and returns their error, or exit code 3 if there
// are any.
func (o *options) preview(cmd *cobra.Command, changes []engine.Change, aim gateway.Aim, err error) error {
	if o.json {
		if e := printJSON(cmd, outcome(changes, aim, err)); e != nil {
			return e
		}
	}
	if err != nil {
		return err
	}
	if !o.json {
		for _, c := range changes {
			cmd.OutOrStdout().Write(unified(c))
		}
		if len(changes) > 0 {
			fmt.Fprintln(cmd.OutOrStdout(), summary(changes))
		}
	}
	if len(changes) > 0 {
		return exit{code: exitDiffers}
	}
	return nil
}

func (o *options) changes(cmd *cobra.Command) ([]engine.Change, gateway.Aim, error) {
	c, err := o.section(cmd.Context(), cmd)
	if err != nil {
		return nil, gateway.Aim{}, err
	}
	if o.factsFile != "" {
		return o.planFor(cmd, c)
	}
	hidden := takenForAbsent(cmd)
	h, f, err := o.gather(hidden.file)
	if err != nil {
		return nil, gateway.Aim{}, err
	}
	aim := gateway.Resolve(c, f)
	if o.config != "" && o.rootDir == "" && aim.Line.Elsewhere {
		return o.examplePlan(cmd, c)
	}
	if err := unsupported(cmd, h, f, aim); err != nil {
		return nil, aim, err
	}
	if asking := o.asking(cmd, c, f, aim); len(asking) > 0 {
		if changes, err := engine.PlanWithout(cmd.Context(), h, asking, hidden.warn); len(changes) > 0 || err != nil {
			return changes, aim, err
		}
	}
	warnOf(cmd, aim)
	if errors.Is(aim.Err, discovery.ErrWithdrawn) {
		changes, err := engine.PlanWithout(cmd.Context(), h, gateway.Withdrawn(c, aim.Line, f, o.compile), hidden.warn)
		if err == nil && len(changes) == 0 {
			return nil, aim, aim.Err
		}
		warn(cmd, []string{withdrawn(aim)})
		return changes, aim, err
	}
	if err := o.refusal(aim); err != nil {
		return nil, aim, err
	}
	warn(cmd, line.Overdue(c, aim.Line, f, time.Now()))
	changes, err := planned(cmd, h, aim.Gateway, o.compile(aim.Gateway, f), hidden)
	return changes, aim, err
}

// withdrawn says what becomes of the gateway of a line that has withdrawn its service.
func withdrawn(aim gateway.Aim) string {
	return fmt.Sprintf("the line has withdrawn its service, so the gateway is taken down: %v", aim.Err)
}

// unsupported is why this machine cannot be a gateway, unless the section is what is wrong. Where files for networkd are
// there already, as while a machine is being built, it is a warning.
func unsupported(cmd *cobra.Command, h *host.Host, f facts.Facts, aim gateway.Aim) error {
	err := h.Unsupported()
	if err == nil || errors.As(aim.Err, new(schema.Problems)) {
		return nil
	}
	if slices.ContainsFunc(f.Links, func(l kernel.Link) bool { return f.ByNetworkd(l.Name) }) {
		warn(cmd, []string{err.Error()})
		return nil
	}
	return err
}

// planned is what apply would change. It warns of routes and rules that divert
// packets from the tunnel even if nothing differs.
func planned(cmd *cobra.Command, h *host.Host, g *gateway.Gateway, want []engine.Resource, hidden hidden) ([]engine.Change, error) {
	changes, err := engine.PlanWithout(cmd.Context(), h, want, hidden.warn)
	if err == nil {
		warn(cmd, g.Strays(h, changes))
	}
	return changes, err
}

// asking compiles what asks the line for the prefix that is missing, which apply
// does at once, and prints what is missing. It is empty where that asks already,
// and for a line that is held: its gateway has it.
func (o *options) asking(cmd *cobra.Command, c *schema.Config, f facts.Facts, aim gateway.Aim) []engine.Resource {
	if !f.Live || !aim.Waits() || aim.Held() || slices.Contains(f.Owned.Requesting, aim.Line.WAN.Name) {
		return nil
	}
	want, err := gateway.PrefixRequest(c, aim.Line, f)
	if err != nil || len(want) == 0 {
		return nil
	}
	cmd.PrintErrf("waiting: %v\n", aim.Err)
	return want
}

// hidden warns, once for each, of what the caller cannot read.
type hidden struct {
	cmd  *cobra.Command
	told map[string]bool
}

func takenForAbsent(cmd *cobra.Command) hidden { return hidden{cmd, map[string]bool{}} }

func (w hidden) warn(name string, err error) {
	if !w.told[name] {
		w.cmd.PrintErrf("warning: %s cannot be read and counts as absent: %v\n", name, err)
	}
	w.told[name] = true
}

// file reports whether that is why the facts are without a file.
func (w hidden) file(e host.FileError) bool {
	if !errors.Is(e, fs.ErrPermission) {
		return false
	}
	w.warn("file "+e.Path, e.Err)
	return true
}

// examplePlan is for a first look on a machine that is not a gateway.
func (o *options) examplePlan(cmd *cobra.Command, c *schema.Config) ([]engine.Change, gateway.Aim, error) {
	f := facts.Example()
	aim := gateway.Resolve(c, f)
	if aim.Err != nil {
		return nil, aim, o.blame(aim.Err)
	}
	cmd.PrintErrln("warning: this machine is not on that line; this is the plan for an example gateway (WAN eth1, LAN eth0) before the first apply")
	warnOf(cmd, aim)
	return engine.FromNothing(o.compile(aim.Gateway, f)), aim, nil
}

// planFor plans for the machine of --facts.
func (o *options) planFor(cmd *cobra.Command, c *schema.Config) ([]engine.Change, gateway.Aim, error) {
	f, err := o.givenFacts(cmd.Context())
	if err != nil {
		return nil, gateway.Aim{}, err
	}
	aim := gateway.Resolve(c, f)
	if asking := o.asking(cmd, c, f, aim); len(asking) > 0 {
		return engine.FromNothing(asking), aim, nil
	}
	if aim.Gateway == nil {
		return nil, aim, o.blame(aim.Err)
	}
	if len(f.Owned.Files) > 0 {
		cmd.PrintErrf("warning: %s comes from a machine where apply has run; the file does not have what it made there, so everything is shown as new\n", o.factsFile)
	}
	warnOf(cmd, aim)
	return engine.FromNothing(o.compile(aim.Gateway, f)), aim, nil
}

// summary counts changes: "9 to create, 1 to change".
func summary(changes []engine.Change) string {
	counts := map[string]int{}
	for _, c := range changes {
		counts[verb(c)]++
	}
	var parts []string
	for _, verb := range []string{"create", "change", "remove"} {
		if n := counts[verb]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d to %s", n, verb))
		}
	}
	return strings.Join(parts, ", ")
}

func unified(c engine.Change) []byte {
	name := c.After.Name()
	return diff.Diff(name, []byte(c.Before.Text()), name+" (after apply)", []byte(c.After.Text()))
}
