package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/line"
)

func (o *options) status() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show whether everything is as it should be",
		Long: `Show the softwire, and for each resource whether it is as it should be. A warning
says if the units of install are there and do not run or have been changed.

While the line of an earlier run is away, the service holds that line, and status
shows it; likewise the last good section while this one has a mistake, or lacks a
line that the last one has. Of a line that has withdrawn its service it shows what
is still to go. A forward whose port is not in the port set is off. Warnings say so.

Exit codes: 0 everything is as it should be, also for a line that is held or a
forward that is off, 1 something is not, or there is neither a line nor one to
hold, 2 bad section.`,
		Example: "  sudo mape-netplan status",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, refusal, err := o.look(cmd)
			if err != nil {
				return err
			}
			if o.json {
				err = printJSON(cmd, s)
			} else {
				err = s.print(cmd)
			}
			if err == nil {
				err = refusal
			}
			if err == nil && !s.OK {
				err = exit{code: exitFailed}
			}
			return err
		},
	}
}

// A state is what status prints.
type state struct {
	OK bool `json:"ok"`
	short
	Resources []resourceView `json:"resources"`
	Softwire  view           `json:"softwire"`
}

type resourceView struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// look returns the state, and why the section has to be changed where that is not the section's, but of the last good one.
func (o *options) look(cmd *cobra.Command) (s state, refusal, err error) {
	c, refusal := o.section(cmd.Context(), cmd)
	h, err := o.openFor(cmd, (*host.Host).Privileged)
	if err != nil {
		return s, nil, cmp.Or(refusal, err)
	}
	f, err := facts.Gather(h)
	if refusal != nil && f.Owned.Proven != nil {
		c = f.Owned.Proven
	} else if refusal != nil {
		return s, nil, refusal
	}
	if err != nil {
		return s, nil, err
	}
	aim := gateway.Resolve(c, f)
	if err := unsupported(cmd, h, f, aim); err != nil {
		return s, nil, err
	}
	gone := errors.Is(aim.Err, discovery.ErrWithdrawn)
	var want []engine.Resource
	switch {
	case gone:
		want = gateway.Withdrawn(c, aim.Line, f, o.compile)
	case aim.Gateway == nil:
		warn(cmd, aim.Notices)
		return s, nil, o.blame(aim.Err)
	default:
		want = o.compile(aim.Gateway, f)
	}
	s, err = stateOf(cmd.Context(), h, aim.Gateway, want)
	s.short = shortOf(aim)
	if g := aim.Gateway; g != nil {
		s.Softwire.learnt(g.Line, f)
	}
	if gone {
		s.OK, s.Softwire.Warnings = false, []string{withdrawn(aim)}
	} else if refusal != nil {
		s.OK = false
		s.Held = "the section has to be changed; until then the last good one stays in force: " + aim.Gateway.String()
	} else if aim.Bad() {
		s.OK, refusal = false, o.blame(aim.Err)
	}
	s.Softwire.Warnings = append([]string{}, slices.Concat(s.short.warnings(), aim.Notices, s.Softwire.Warnings, o.serviceWarnings(cmd.Context(), h))...)
	return s, refusal, err
}

// serviceWarnings are about a service that is installed but does not maintain the
// gateway. The gateway may be in sync nevertheless.
func (o *options) serviceWarnings(ctx context.Context, h *host.Host) []string {
	units, err := cloudinit.States(ctx, h)
	if err != nil {
		return []string{fmt.Sprintf("the state of the service is unknown: %v", err)}
	}
	if f := cloudinit.FaultOf(units, o.command("install")); f != nil && cloudinit.Installed(units) {
		return []string{f.Seen + ". " + f.Advice}
	}
	return nil
}

// learnt adds what the line's resolvers and the provider have answered.
func (v *view) learnt(l line.Line, f facts.Facts) {
	if name := discovery.Fold(l.FarEnd); f.FarEnds[name].Address.IsValid() {
		v.FarEnd = discovery.Names{name: f.FarEnds[name]}
	}
	if l.Contract != nil && f.Announced != nil {
		v.Registration = f.Announced
	}
}

func stateOf(ctx context.Context, h *host.Host, g *gateway.Gateway, want []engine.Resource) (state, error) {
	changes, err := engine.Plan(ctx, h, want)
	if err != nil {
		return state{}, err
	}
	wrong := map[string]string{}
	for _, c := range changes {
		wrong[c.After.Name()] = detail(c)
	}
	s := state{OK: len(changes) == 0}
	if g != nil {
		s.Softwire = viewOf(g.Line, g.Tunnel.MTU)
		s.Softwire.Warnings = append(append([]string{}, g.AllWarnings()...), g.Strays(h, changes)...)
	}
	for _, r := range want {
		d, bad := wrong[r.Name()]
		if bad || r.Text() != "" {
			s.Resources = append(s.Resources, resourceView{r.Name(), !bad, d})
		}
	}
	return s, nil
}

// detail describes in one line how a resource differs.
func detail(c engine.Change) string {
	switch {
	case c.Before.Text() == "":
		return "is absent"
	case c.After.Text() == "":
		return "should not be there"
	}
	was, is := strings.TrimSpace(c.Before.Text()), strings.TrimSpace(c.After.Text())
	if !strings.Contains(was+is, "\n") {
		return fmt.Sprintf("is %s, should be %s", was, is)
	}
	if b, ok := c.Before.(engine.Briefer); ok && b.Brief() != "" {
		return "is " + b.Brief()
	}
	var lines []string
	for line := range strings.Lines(string(diff.Diff("", []byte(c.Before.Text()), "", []byte(c.After.Text())))) {
		if header := strings.HasPrefix(line, "---") || strings.HasPrefix(line, "+++"); header || line[0] != '-' && line[0] != '+' || strings.TrimSpace(line[1:]) == "" {
			continue
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return "differs in whitespace"
	}
	count := fmt.Sprintf("%d lines differ, the first", len(lines))
	if len(lines) == 1 {
		count = "1 line differs, which"
	}
	what := "is missing"
	if lines[0][0] == '-' {
		what = "should not be there"
	}
	return fmt.Sprintf("%s %s: %s", count, what, strings.Join(strings.Fields(lines[0][1:]), " "))
}

func (s state) print(cmd *cobra.Command) error {
	out := cmd.OutOrStdout()
	if s.Softwire.CE.IsValid() {
		if err := s.Softwire.print(out); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	for _, r := range s.Resources {
		mark := "ok  "
		if !r.OK {
			mark = "BAD "
		}
		fmt.Fprintln(out, strings.TrimSuffix(mark+r.Name+": "+r.Detail, ": "))
	}
	for _, w := range s.Softwire.Warnings {
		fmt.Fprintf(out, "warning: %s\n", w)
	}
	return nil
}
