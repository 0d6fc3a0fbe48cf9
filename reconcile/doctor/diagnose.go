// Package doctor says in words why a gateway does not work.
//
// [symptom.Examine] gathers what the machine shows, [Diagnose] judges it in the order in which a signal travels, from the
// line to the LAN: what comes first in that order explains what follows.
//
// A check is a file with its judge, and a row in checks.
package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mape-netplan/reconcile/doctor/symptom"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/line"
	"mape-netplan/schema"
)

// A consult is everything that a diagnosis is made from.
type consult struct {
	c *schema.Config
	f facts.Facts
	s symptom.Symptoms

	wan  string // "" is not known
	line line.Line
	g    *gateway.Gateway // nil when the section does not fit the machine
	err  error            // why the section makes no gateway of the line
}

// A check is one question, and the judge that answers it.
type check struct {
	name  string
	judge func(*consult) Finding
}

// checks are in the order in which a signal travels: from the line to the tunnel, through it, and on to the LAN. What
// configures the interfaces, without which nothing travels, comes first. Whether
// answers come back is asked when everything is known that would keep them away.
var checks = []check{
	{"netplan", (*consult).netplan},
	{"link", (*consult).link},
	{"router", (*consult).router},
	{"address", (*consult).address},
	{"rule", (*consult).rule},
	{"home gateway", (*consult).home},
	{"setup", (*consult).setup},
	{"CE address", (*consult).ce},
	{"border relay", (*consult).relay},
	{"tunnel", (*consult).tunnel},
	{"MTU", (*consult).mtu},
	{"route", (*consult).route},
	{"NAT", (*consult).nat},
	{"other firewalls", (*consult).firewalls},
	{"answers", (*consult).answers},
	{"ports", (*consult).ports},
	{"DNS", (*consult).dns},
	{"LAN", (*consult).lan},
	{"clock", (*consult).clock},
	{"settings", (*consult).settings},
	{"service", (*consult).service},
}

// Diagnose makes a finding of each check. It is pure: facts and symptoms from another machine are as good. After a bad
// finding the others are skipped: they would only repeat it in other words.
func Diagnose(c *schema.Config, f facts.Facts, aim gateway.Aim, s symptom.Symptoms) []Finding {
	d := &consult{c: c, f: f, s: s, wan: symptom.WAN(c, f, aim.Line), line: aim.Line, g: aim.Gateway, err: aim.Err}
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
		}
	}
	return all
}

func good(format string, args ...any) Finding {
	return Finding{State: OK, Seen: fmt.Sprintf(format, args...)}
}

func skipped(format string, args ...any) Finding {
	return Finding{State: Skipped, Seen: fmt.Sprintf(format, args...)}
}

func bad(seen, diagnosis, advice string) Finding { return Finding{"", Bad, seen, diagnosis, advice} }

func warning(seen, diagnosis, advice string) Finding {
	return Finding{"", Warn, seen, diagnosis, advice}
}

// discover is the provider that the line itself names.
const discover = "discover"

func (d *consult) linkOf(name string) symptom.Link {
	i := slices.IndexFunc(d.s.Links, func(l symptom.Link) bool { return l.Name == name })
	if i < 0 {
		return symptom.Link{}
	}
	return d.s.Links[i]
}

// known reports whether the line has told its softwire.
func (d *consult) known() bool { return d.line.Softwire.CE.IsValid() }

// difference is what apply would change of a resource, which is known by its name.
func (d *consult) difference(of engine.Resource) (symptom.Difference, bool) {
	i := slices.IndexFunc(d.s.Differences, func(x symptom.Difference) bool { return x.Name == of.Name() })
	if i < 0 {
		return symptom.Difference{}, false
	}
	return d.s.Differences[i], true
}

// why is the reason for which a look failed, after a colon.
func (d *consult) why(look string) string {
	for _, u := range d.s.Unread {
		if u.Look == look {
			return ": " + u.Why
		}
	}
	return ""
}

// words are an error's for a sentence: of a section's problems the first, without the line and the caret.
func words(err error) string {
	problems := (schema.Problems)(nil)
	if !errors.As(err, &problems) || len(problems) == 0 {
		return err.Error()
	}
	return "the section's " + cmp.Or(problems[0].Path, "text") + ": " + problems[0].Message
}

// sentence begins with a capital letter, unless it begins with the name of an interface, and ends with a full stop.
func (d *consult) sentence(s string) string {
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
