package symptom

import (
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
)

// paths looks up how packets leave for the border relay, nil while that is not known, and for the internet.
func (e *examination) paths() (relay *kernel.Path, internet []kernel.Path) {
	if e.known() {
		p := kernel.PathTo(e.h, e.line().Softwire.BR)
		relay = &p
	}
	for _, to := range facts.InternetAddresses {
		internet = append(internet, kernel.PathTo(e.h, to))
	}
	return relay, internet
}
