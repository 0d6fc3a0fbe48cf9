package doctor

import (
	"errors"
	"fmt"

	"mape-netplan/reconcile/gateway"
)

// netplan: can what configures the interfaces be read, and does it leave them to networkd?
func (d *dossier) netplan() Finding {
	const advice = `"sudo netplan generate" says what is wrong with it. Correct it until that says nothing.`
	switch {
	case len(d.s.Broken) > 0:
		seen := d.s.Broken[0]
		return bad(seen, d.sentence("The "+seen+", so that netplan configures nothing at the next boot, and apply and install refuse"), advice)
	case d.s.Stops != "":
		return bad("its generator stops at "+d.s.Stops,
			d.sentence("Netplan's generator stops at "+d.s.Stops+", so that netplan configures nothing at the next boot, and apply and install fail"), advice)
	}
	if wrong := (gateway.WrongRenderer{}); errors.As(d.err, &wrong) {
		a := wrong.Advice()
		return bad("renderer: NetworkManager", d.sentence(a.What),
			d.sentence(a.Do)+fmt.Sprintf(` Then run "sudo systemctl enable --now systemd-networkd", "sudo netplan apply" and "%s".`, d.command()))
	}
	if !d.f.Netplan {
		return skipped("it is not on this machine")
	}
	return good("its files can be read")
}
