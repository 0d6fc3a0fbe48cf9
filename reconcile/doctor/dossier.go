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

// A dossier is what a diagnosis is based on.
type dossier struct {
	c *schema.Config
	f facts.Facts
	s symptom.Symptoms

	wan  string // "" if not known
	line line.Line
	g    *gateway.Gateway // nil if the section does not fit the machine
	err  error            // why it does not
}

// discover is the provider: key by which the rules come from the line.
const discover = "discover"

// linkOf is the state of a link; the zero Link if there is none of that name.
func (d *dossier) linkOf(name string) symptom.Link {
	i := slices.IndexFunc(d.s.Links, func(l symptom.Link) bool { return l.Name == name })
	if i < 0 {
		return symptom.Link{}
	}
	return d.s.Links[i]
}

// known reports whether the line has a softwire.
func (d *dossier) known() bool { return d.line.Softwire.CE.IsValid() }

// difference is what apply would change of a resource.
func (d *dossier) difference(of interface{ Name() string }) (symptom.Difference, bool) {
	i := slices.IndexFunc(d.s.Differences, func(x symptom.Difference) bool { return x.Name == of.Name() })
	if i < 0 {
		return symptom.Difference{}, false
	}
	return d.s.Differences[i], true
}

// why is the reason for which a look failed, after a colon; "" if it did not.
func (d *dossier) why(look string) string {
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
func (d *dossier) sentence(s string) string {
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
