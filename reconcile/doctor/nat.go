package doctor

import "mape-netplan/reconcile/resource"

// nat: is the NAT table in place and unchanged?
func (d *dossier) nat() Finding {
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
	return good("%s translates to %s", table.Name(), d.line.Softwire.IPv4.Masked())
}

func (d *dossier) tableAdvice() string {
	if d.s.Units != nil && !d.installed() {
		return d.restore() + " Nothing but its service brings the table back at boot."
	}
	return d.restore() + " If it goes missing again, something flushes the ruleset: nftables.service does when it starts or reloads."
}
