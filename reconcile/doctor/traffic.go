package doctor

import (
	"fmt"
	"strings"
	"time"

	"mape-netplan/reconcile/doctor/symptom"
)

// traffic: does anything come back?
func (d *diagnosis) traffic() Finding {
	t, br := d.s.Tunnel, d.line.Softwire.BR()
	dead := fmt.Sprintf("The border relay %s is silent: packets leave through %s, and nothing comes back.", br, d.c.Tunnel)
	advice := `The relay does not answer a CE whose address, rule or contract is wrong. Compare "mape-netplan compute" with the provider's calculator or router, ask whether the contract has IPv4 over IPv6 (MAP-E), and make sure that no other MAP-E router is on the line.`
	if p := d.s.Probe; p != nil {
		return d.probed(p, dead, advice)
	}
	const sure = ` Run "mape-netplan doctor --probe" to make sure.`
	switch {
	case t.Lately.RX > 0:
		return good("%d packets left and %d came back in %s", t.Lately.TX, t.Lately.RX, t.Watched.Round(time.Second))
	case t.Lately.TX >= symptom.EnoughSent:
		return bad(fmt.Sprintf("%d packets left and none came back in %s", t.Lately.TX, t.Watched.Round(time.Second)), dead, advice+sure)
	case t.Total.RX == 0 && t.Total.TX >= symptom.EnoughSent:
		return bad(fmt.Sprintf("%d packets have left and none has ever come back", t.Total.TX), dead, advice+sure)
	}
	return good("%d packets have left and %d have come back so far", t.Total.TX, t.Total.RX)
}

// probed is traffic with the answers to a probe.
func (d *diagnosis) probed(p *symptom.Probe, dead, advice string) Finding {
	var yes, no []string
	for _, a := range p.Answers {
		if what := fmt.Sprintf("%s %s", a.Protocol, a.To); a.OK {
			yes = append(yes, what)
		} else {
			no = append(no, fmt.Sprintf("%s (%s)", what, a.Error))
		}
	}
	if f := d.ports(); len(yes) == 0 && f.State == Bad {
		return skipped("no answers, but %s", f.Seen)
	}
	switch t := d.s.Tunnel; {
	case len(no) == 0:
		return good("all %d requests were answered", len(yes))
	case len(yes) == 0 && t.Lately.TX > 0 && t.Lately.RX == 0:
		return bad("no answers: "+strings.Join(no, ", "), dead, advice)
	case len(yes) == 0:
		return bad("no answers: "+strings.Join(no, ", "),
			fmt.Sprintf("None of the probed servers answers through %s (%d packets left, %d came back).", d.c.Tunnel, t.Lately.TX, t.Lately.RX),
			"Check whether these servers are up, or set others with probe: in the section.")
	}
	return warning("no answer from "+strings.Join(no, ", "), "Some of the probed servers do not answer: "+strings.Join(no, ", ")+".",
		"Check whether these servers are up, or set others with probe: in the section.")
}
