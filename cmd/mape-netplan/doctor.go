package main

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"mape-netplan/reconcile/doctor"
	"mape-netplan/reconcile/doctor/symptom"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
)

func (o *options) doctor() *cobra.Command {
	var probe bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find out why it does not work, and what to do",
		Long: `Say why it does not work, and what to do: one line for each check, netplan's
files first and then in the order in which a signal travels from the line to the
LAN, then diagnosis and advice. The first thing that is bad is the cause, and the
checks after it are skipped, unless it is a file that only the next boot needs.
Nothing is changed.

Without --probe nothing is sent, but for one question to the home gateway, over
the line: whether it is the line's IPv4 router already
(ntt.setup, for a second at most).

--probe sends a few packets through the tunnel (ping, TCP, UDP, and a ping of the
full size) to the addresses of mape.probe in the section, or to 1.1.1.1 and
8.8.8.8, and says what becomes of them.

Exit codes: 0 nothing is bad, 1 something is.`,
		Example: "  sudo mape-netplan doctor\n  sudo mape-netplan doctor --probe",
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := o.examine(cmd, probe)
			if err != nil {
				return err
			}
			if o.json {
				err = printJSON(cmd, report)
			} else {
				_, err = fmt.Fprint(cmd.OutOrStdout(), report.Text())
			}
			if err == nil && !report.OK {
				err = exit{code: exitFailed}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&probe, "probe", false, "send a few packets through the tunnel and see what comes back")
	return cmd
}

func (o *options) examine(cmd *cobra.Command, probe bool) (doctor.Report, error) {
	if o.rootDir != "" {
		return doctor.Report{}, exit{exitBad, errors.New("doctor conflicts with --root-dir: it examines the running system")}
	}
	c, err := o.section(cmd.Context(), cmd)
	if err != nil {
		return doctor.Report{}, err
	}
	h, err := o.openFor(cmd, (*host.Host).Privileged)
	if err != nil {
		return doctor.Report{}, err
	}
	facts, err := facts.Gather(h)
	var unread host.Unread
	if err := unread.Add(err); err != nil {
		return doctor.Report{}, err
	}
	aim := gateway.Resolve(c, facts)
	with := symptom.Options{Watch: o.watched, Compile: o.compile, Now: time.Now, Built: built(), Unread: unread, Resolve: symptom.LineResolver}
	_, with.Refusal = o.units()
	if probe {
		with.Probe, with.Timeout = symptom.Servers(c), symptom.ProbeTimeout
	}
	symptoms, err := symptom.Gather(cmd.Context(), h, c, facts, aim, with)
	if err != nil {
		return doctor.Report{}, err
	}
	return doctor.Conclude(doctor.Diagnose(c, facts, aim, symptoms), symptoms), nil
}

// built is the time of the commit that the program was built from; zero if unknown.
func built() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			t, _ := time.Parse(time.RFC3339, s.Value)
			return t
		}
	}
	return time.Time{}
}
