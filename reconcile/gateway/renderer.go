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

// A WrongRenderer is the error that netplan leaves to NetworkManager what only
// networkd can do.
type WrongRenderer struct {
	Link string // "" is whatever says nothing else, the tunnel among it
}

// Advice says what to write where.
func (e WrongRenderer) Advice() advice.Advice {
	if e.Link == "" {
		return advice.Advice{What: "netplan has NetworkManager configure whatever does not say otherwise, the tunnel too, and a gateway needs systemd-networkd for it",
			Do: `write "renderer: networkd" below "network:" in the netplan file that names NetworkManager`}
	}
	return advice.Advice{What: fmt.Sprintf("netplan has NetworkManager configure %s, and a gateway needs systemd-networkd for it", e.Link),
		Do: fmt.Sprintf(`write "renderer: networkd" below %s in the netplan file that defines it`, e.Link)}
}

func (e WrongRenderer) Error() string { return e.Advice().Error() }

// checkRenderer refuses what would fail once netplan generates from our file.
// It needs no line.
func checkRenderer(c *schema.Config, l line.Line, f facts.Facts) error {
	if !usesNetplan(c, f) {
		return nil
	}
	if f.Renderer == netplan.NetworkManager {
		return WrongRenderer{}
	}
	// What is wrong with the names is said later.
	for _, name := range append([]string{cmp.Or(l.WAN.Name, c.WAN)}, l.LAN...) {
		if d, ok := f.DefinitionOf(name); ok && d.Renderer == netplan.NetworkManager {
			return WrongRenderer{name}
		}
	}
	return nil
}
