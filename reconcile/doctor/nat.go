package doctor

import (
	"fmt"
	"strings"

	"mape-netplan/reconcile/resource"
)

// nat: is the NAT table in place and unchanged?
func (d *diagnosis) nat() Finding {
	table := resource.Table{}
	x, differs := d.difference(table)
	switch {
	case differs && x.Error != "":
		return bad(x.Refusal(), d.sentence("The NAT table cannot be read: "+x.Refusal()), "Run this as root.")
	case differs && x.Before == "":
		return bad(table.Name()+" is missing",
			"The nftables table ip mape is missing, so there is no NAT: private addresses leave, and no answer comes back.",
			d.tableAdvice())
	case differs:
		return bad(table.Name()+" is not as it should be", "Another program has changed the nftables table ip mape, or the line's address has changed.", d.restore())
	}
	if !d.line.Softwire.NAT {
		return good("%s lets out only what it should; nothing is translated here", table.Name())
	}
	return good("%s translates to %s", table.Name(), d.line.Softwire.Inner.Masked())
}

func (d *diagnosis) tableAdvice() string {
	if d.s.Units != nil && !d.installed() {
		return d.restore() + " Nothing but its service brings the table back at boot."
	}
	return d.restore() + " If it goes missing again, something flushes the ruleset: nftables.service does when it starts or reloads."
}

// forwards: can all of the section's forwards work on this line?
func (d *diagnosis) forwards() Finding {
	switch {
	case d.g == nil:
		return skipped("what is forwarded is not known")
	case len(d.g.Off) > 0:
		var seen []string
		for _, p := range d.g.Off {
			seen = append(seen, p.Path+": "+p.Message)
		}
		p := d.g.Off[0]
		return warning(strings.Join(seen, ", and "),
			fmt.Sprintf("Some forwards cannot work, and the gateway works without them; %s:%d:%d: %s.", p.File, p.Line, p.Col, strings.Join(seen, ", and ")),
			`Correct them in the section and run "`+d.command()+`".`)
	}
	if len(d.g.Forwards) == 0 {
		return good("the section has none")
	}
	return good("the ports of all %d are in the port set", len(d.g.Forwards))
}

// held adds to the cause that the last line is held meanwhile.
func (d *diagnosis) held(f *Finding) {
	if d.err != nil && d.g != nil {
		f.Diagnosis += fmt.Sprintf(" Until that changes the last line is held: %s.", d.g)
	}
}
