package gateway

import (
	"cmp"
	"fmt"

	"mape-netplan/reconcile/advice"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/schema"
)

// A WrongRenderer is the error that netplan gives to NetworkManager what only
// networkd can configure.
type WrongRenderer struct {
	Link string // "" for everything without a renderer of its own, such as the tunnel
}

// Advice is the error with the renderer to write, and where.
func (e WrongRenderer) Advice() advice.Advice {
	if e.Link == "" {
		return advice.Advice{What: "netplan has NetworkManager configure whatever does not say otherwise, the tunnel too, and a gateway needs systemd-networkd for it",
			Do: `write "renderer: networkd" below "network:" in the netplan file that names NetworkManager`}
	}
	return advice.Advice{What: fmt.Sprintf("netplan has NetworkManager configure %s, and a gateway needs systemd-networkd for it", e.Link),
		Do: fmt.Sprintf(`write "renderer: networkd" below %s in the netplan file that defines it`, e.Link)}
}

func (e WrongRenderer) Error() string { return e.Advice().Error() }

// A NotNetworkd is the error that networkd does not configure a link which the gateway needs.
type NotNetworkd struct {
	Link string // "" while it is not known
	By   string // what does, in the words of facts.Managers; "": networkd is disabled
}

// Advice is the error with what has to be done for networkd to configure the link.
func (e NotNetworkd) Advice() advice.Advice {
	const enable = `run "systemctl enable --now systemd-networkd"`
	a := advice.Advice{What: fmt.Sprintf("%s configures %s, and a gateway needs systemd-networkd for it", e.By, e.Link)}
	switch e.By {
	case facts.Ifupdown:
		a.Do = fmt.Sprintf("move %s from /etc/network/interfaces to netplan or a .network file, and %s", e.Link, enable)
	case "":
		a.What = "systemd-networkd neither runs nor starts at boot, and a gateway needs it"
		a.Do = "have netplan or .network files configure the WAN and the LAN, and " + enable
	default:
		a.Do = fmt.Sprintf("configure %s in netplan (renderer: networkd) or a .network file, have %s leave it alone (unmanaged-devices), and %s", e.Link, e.By, enable)
	}
	return a
}

func (e NotNetworkd) Error() string { return e.Advice().Error() }

// checkManager refuses links that something other than networkd configures, and what netplan's generator would refuse of
// our file. It needs no line.
func checkManager(c *schema.Config, l line.Line, f facts.Facts) error {
	byNetplan := usesNetplan(c, f)
	if byNetplan && f.Renderer == netplan.NetworkManager {
		return WrongRenderer{}
	}
	// A name that does not exist is reported by Fit.
	for _, name := range append([]string{cmp.Or(l.WAN.Name, l.Likely)}, l.LAN...) {
		if d, ok := f.DefinitionOf(name); byNetplan && ok && d.Renderer == netplan.NetworkManager {
			return WrongRenderer{name}
		}
		if by := f.ManagerOf(name); by != "" && name != "" {
			return NotNetworkd{name, by}
		}
	}
	if f.Disabled {
		return NotNetworkd{}
	}
	return nil
}
