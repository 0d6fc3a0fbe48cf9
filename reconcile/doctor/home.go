package doctor

import (
	"fmt"

	"mape-netplan/reconcile/doctor/symptom"
)

// home: is the home gateway the line's customer edge already?
func (d *dossier) home() Finding {
	h := d.s.Home
	switch {
	case h.Status == "ON":
		return bad(fmt.Sprintf("the home gateway %s reports ON", h.Address),
			fmt.Sprintf("The home gateway (%s at %s) does IPv4 over IPv6 for this line itself, and a line has only one such router.", symptom.HomeName, h.Address),
			"Switch it off there (IPv4設定, v6プラス or IPv4 over IPv6 in the home gateway's menu), or do not use this machine as the gateway.")
	case h.Status != "":
		return good("the home gateway %s leaves IPv4 to this machine (%s)", h.Address, h.Status)
	}
	return skipped("no home gateway found: %s", h.Skipped)
}
