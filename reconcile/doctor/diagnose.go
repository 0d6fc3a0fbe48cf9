// Package doctor finds out why a gateway does not work, and what to do.
//
// [symptom.Examine] gathers what the machine shows, [Diagnose] judges it in the order in which a signal travels, from the
// line to the LAN: what comes first in that order explains what follows.
//
// A check is a file with its judge, and a row in checks; the READMEs list the names.
package doctor

import (
	"mape-netplan/reconcile/doctor/symptom"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/schema"
)

// A check is one question with the judge that answers it.
type check struct {
	name  string
	judge func(*dossier) Finding
}

// checks are in the order in which a signal travels: from the line to the tunnel, through it, and on to the LAN. Netplan,
// without which no interface is configured, comes first. "answers" comes after everything that would keep answers away.
var checks = []check{
	{"netplan", (*dossier).netplan},
	{"link", (*dossier).link},
	{"router", (*dossier).router},
	{"address", (*dossier).address},
	{"rule", (*dossier).rule},
	{"forwards", (*dossier).forwards},
	{"home gateway", (*dossier).home},
	{"setup", (*dossier).setup},
	{"CE address", (*dossier).ce},
	{"border relay", (*dossier).relay},
	{"tunnel", (*dossier).tunnel},
	{"MTU", (*dossier).mtu},
	{"route", (*dossier).route},
	{"NAT", (*dossier).nat},
	{"other firewalls", (*dossier).firewalls},
	{"answers", (*dossier).answers},
	{"ports", (*dossier).ports},
	{"DNS", (*dossier).dns},
	{"LAN", (*dossier).lan},
	{"clock", (*dossier).clock},
	{"settings", (*dossier).settings},
	{"service", (*dossier).service},
}

// Diagnose returns the finding of each check. It is pure: facts and symptoms of another machine will do. After a bad
// finding the rest are skipped, because they would only repeat it in other words.
func Diagnose(c *schema.Config, f facts.Facts, aim gateway.Aim, s symptom.Symptoms) []Finding {
	d := &dossier{c: c, f: f, s: s, wan: aim.Line.Likely, line: aim.Line, g: aim.Gateway, err: aim.Err}
	var all []Finding
	cause := ""
	for _, c := range checks {
		finding := Finding{State: Skipped, Seen: "skipped: " + cause + " must pass first"}
		if cause == "" {
			finding = c.judge(d)
		}
		finding.Check = c.name
		if all = append(all, finding); finding.State == Bad {
			cause = c.name
			d.held(&all[len(all)-1])
		}
	}
	return all
}
