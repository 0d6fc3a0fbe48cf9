package doctor

import (
	"errors"
	"fmt"
	"strings"

	"mape-netplan/reconcile/gateway"
)

// netplan: can its files be read, and do they leave the interfaces to networkd?
func (d *diagnosis) netplan() Finding {
	if f := d.unread(); f.State == Bad {
		f.apart = true
		return f
	}
	if wrong := (gateway.WrongRenderer{}); errors.As(d.err, &wrong) {
		a := wrong.Advice()
		return bad("renderer: NetworkManager", d.sentence(a.What),
			d.sentence(a.Do)+fmt.Sprintf(` Then run "sudo systemctl enable --now systemd-networkd", "sudo netplan apply" and "%s".`, d.command()))
	}
	if all := strings.Join(d.s.Unreadable, " "); all != "" {
		return warning("the service cannot read "+all,
			fmt.Sprintf("The service cannot read %s, which belongs to another user than root or is closed to root, and what depends on it waits.", all),
			fmt.Sprintf(`Run "sudo chown root:root %s && sudo chmod u=rwX %[1]s".`, all))
	}
	if !d.f.Netplan {
		return skipped("it is not on this machine")
	}
	return good("its files can be read")
}

// unread is the finding of a file that netplan or this program cannot read, if there is one.
func (d *diagnosis) unread() Finding {
	const (
		advice = `Run "sudo netplan generate" to see the error, and correct the file until it prints none.`
		// Measured with 0.106, 1.1.2 and 1.2.2.
		skips = ", so that netplan skips what is wrong at the next boot, before version 1.1 all its files, and apply and install "
	)
	switch {
	case len(d.s.Broken) > 0:
		seen := d.s.Broken[0]
		return bad(seen, d.sentence("The "+seen+skips+"refuse"), advice)
	case d.s.Stops != "":
		return bad("its generator stops at "+d.s.Stops,
			d.sentence("Netplan's generator stops at "+d.s.Stops+skips+"fail"), advice)
	case len(d.s.Closed) > 0:
		all := strings.Join(d.s.Closed, ", and ")
		return bad("cannot read "+all, "This program cannot read "+all+": apply and install refuse, and the service changes no file meanwhile.",
			"Make that readable for root, or move it away.")
	}
	return Finding{}
}

// networkd: does what keeps the addresses and the tunnel run?
func (d *diagnosis) networkd() Finding {
	if other := (gateway.NotNetworkd{}); errors.As(d.err, &other) {
		a := other.Advice()
		return bad(a.What, d.sentence(a.What), d.sentence(a.Do)+` Then run "`+d.command()+`".`)
	}
	switch {
	case d.f.Networkd:
		return good("it runs")
	case d.s.NoSystemd != "":
		return skipped("%s", d.s.NoSystemd)
	}
	advice := `Run "sudo systemctl enable --now systemd-networkd"`
	if d.wan != "" {
		advice += ", and have it configure " + d.wan + " (in netplan, renderer: networkd)"
	}
	return bad("it does not run", "Systemd-networkd does not run, which accepts the line's router and prefix and keeps the addresses and the tunnel.",
		advice+`; then run "`+d.command()+`".`)
}
