package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mape-netplan/reconcile"
	"mape-netplan/schema"
)

// A consult is everything that a diagnosis is made from.
type consult struct {
	c *schema.Config
	f reconcile.Facts
	s Symptoms

	wan     string // "" is not known
	line    reconcile.Line
	lineErr error
	g       *reconcile.Gateway // nil when the section does not fit the machine
	gErr    error
}

// checks are in the order in which a signal travels: from the line to the tunnel, through it, and on to the LAN. What
// configures the interfaces, without which nothing travels, comes first. Whether
// answers come back is asked when everything is known that would keep them away.
var checks = []struct {
	name string
	look func(*consult) Finding
}{
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
func Diagnose(c *schema.Config, f reconcile.Facts, s Symptoms) []Finding {
	d := &consult{c: c, f: f, s: s, wan: wanOf(c, f)}
	d.line, d.lineErr = reconcile.Derive(c, f)
	d.g, d.gErr = reconcile.Resolve(c, f)
	var all []Finding
	cause := ""
	for _, check := range checks {
		finding := Finding{State: Skipped, Seen: "not looked at: " + cause + " comes first"}
		if cause == "" {
			finding = check.look(d)
		}
		finding.Check = check.name
		if all = append(all, finding); finding.State == Bad {
			cause = check.name
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

func (d *consult) linkOf(name string) Link {
	i := slices.IndexFunc(d.s.Links, func(l Link) bool { return l.Name == name })
	if i < 0 {
		return Link{}
	}
	return d.s.Links[i]
}

// difference is what apply would change of a resource whose name begins so.
func (d *consult) difference(name string) (Difference, bool) {
	i := slices.IndexFunc(d.s.Differences, func(x Difference) bool { return strings.HasPrefix(x.Name, name) })
	if i < 0 {
		return Difference{}, false
	}
	return d.s.Differences[i], true
}

// why is the reason for which something is not known, after a colon.
func (d *consult) why(what string) string {
	for _, u := range d.s.Unread {
		if after, ok := strings.CutPrefix(u, what); ok {
			return after
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
