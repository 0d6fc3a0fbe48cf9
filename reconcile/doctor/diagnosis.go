// Package doctor finds out why a gateway does not work, and what to do.
//
// [symptom.Gather] gathers what the machine shows, [Diagnose] judges it in the order in which a signal travels, from the
// line to the LAN: what comes first in that order explains what follows.
//
// A check is a judge in a file of its own or in that of its noun, and a row in checks.
package doctor

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"mape-netplan/reconcile/doctor/symptom"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/line"
	"mape-netplan/schema"
)

// A check is one question with the judge that answers it.
type check struct {
	name  string
	judge func(*diagnosis) Finding
}

// checks are in the order in which a signal travels: from the line to the tunnel, through it, and on to the LAN. Netplan and
// networkd, without which no interface is configured, come first. Return traffic comes after everything that would keep it away.
var checks = []check{
	{"netplan", (*diagnosis).netplan},
	{"networkd", (*diagnosis).networkd},
	{"link", (*diagnosis).link},
	{"router", (*diagnosis).router},
	{"address", (*diagnosis).address},
	{"far end", (*diagnosis).farEnd},
	{"rule", (*diagnosis).rule},
	{"home gateway", (*diagnosis).home},
	{"setup", (*diagnosis).setup},
	{"CE address", (*diagnosis).ce},
	{"registration", (*diagnosis).registration},
	{"border relay", (*diagnosis).relay},
	{"tunnel", (*diagnosis).tunnel},
	{"MTU", (*diagnosis).mtu},
	{"route", (*diagnosis).route},
	{"NAT", (*diagnosis).nat},
	{"other firewalls", (*diagnosis).firewalls},
	{"return traffic", (*diagnosis).traffic},
	{"ports", (*diagnosis).ports},
	{"DNS", (*diagnosis).dns},
	{"forwards", (*diagnosis).forwards},
	{"LAN", (*diagnosis).lan},
	{"clock", (*diagnosis).clock},
	{"settings", (*diagnosis).settings},
	{"warnings", (*diagnosis).warnings},
	{"service", (*diagnosis).service},
}

// Diagnose returns the finding of each check. It is pure: facts and symptoms of another machine will do. After a bad
// finding of what is wrong now the rest are skipped, because they would only repeat it in other words.
func Diagnose(c *schema.Config, f facts.Facts, aim gateway.Aim, s symptom.Symptoms) []Finding {
	d := &diagnosis{c: c, f: f, s: s, wan: aim.Line.Likely, line: aim.Line, g: aim.Gateway, err: aim.Err}
	var all []Finding
	cause := ""
	for _, c := range checks {
		finding := Finding{State: Skipped, Seen: "skipped: " + cause + " must pass first", cause: cause}
		if cause == "" {
			finding = c.judge(d)
		}
		finding.Check = c.name
		if all = append(all, finding); finding.State == Bad && !finding.apart {
			cause = c.name
			d.held(&all[len(all)-1])
		}
	}
	return all
}

// A diagnosis is what the judges look at.
type diagnosis struct {
	c *schema.Config
	f facts.Facts
	s symptom.Symptoms

	wan  string // "" if not known
	line line.Line
	g    *gateway.Gateway // nil if the section does not fit the machine
	err  error            // why it does not
}

// linkOf is the state of a link; the zero Link if there is none of that name.
func (d *diagnosis) linkOf(name string) symptom.Link {
	i := slices.IndexFunc(d.s.Links, func(l symptom.Link) bool { return l.Name == name })
	if i < 0 {
		return symptom.Link{}
	}
	return d.s.Links[i]
}

// known reports whether the line has a softwire.
func (d *diagnosis) known() bool { return d.line.Softwire.Known() }

// difference is what apply would change of a resource.
func (d *diagnosis) difference(of interface{ Name() string }) (symptom.Difference, bool) {
	i := slices.IndexFunc(d.s.Differences, func(x symptom.Difference) bool { return x.Name == of.Name() })
	if i < 0 {
		return symptom.Difference{}, false
	}
	return d.s.Differences[i], true
}

// why is the reason for which a look failed, after a colon; "" if it did not.
func (d *diagnosis) why(look string) string {
	for _, u := range d.s.Unread {
		if u.Look == look {
			return ": " + u.Why
		}
	}
	return ""
}

// words are an error's for a sentence. Of a section's problems that is the first, without its line and caret.
func words(err error) string {
	problems := (schema.Problems)(nil)
	if !errors.As(err, &problems) || len(problems) == 0 {
		return err.Error()
	}
	return "the section's " + cmp.Or(problems[0].Path, "text") + ": " + problems[0].Message
}

// sentence begins with a capital letter, unless it begins with the name of an interface, and ends with a full stop.
func (d *diagnosis) sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return s
	}
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	first, _, _ := strings.Cut(s, " ")
	first = strings.TrimRight(first, ":,.")
	if _, ok := d.f.Link(first); ok || first == d.wan || first == d.c.Tunnel || slices.Contains(d.c.LAN, first) {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
