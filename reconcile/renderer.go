package reconcile

import (
	"cmp"
	"fmt"

	"mape-netplan/schema"
)

// networkManager is netplan's other renderer. It takes neither the lifetime of
// an address nor the drop-ins that are networkd's, and so no tunnel of ours.
const networkManager = "NetworkManager"

// A WrongRenderer is the error that netplan leaves to NetworkManager what only
// networkd can do.
type WrongRenderer struct {
	Link string // "" is whatever says nothing else, the tunnel among it
}

// Advice says what to write where.
func (e WrongRenderer) Advice() Advice {
	if e.Link == "" {
		return Advice{"netplan has NetworkManager configure whatever does not say otherwise, the tunnel too, and a gateway needs systemd-networkd for it",
			`write "renderer: networkd" below "network:" in the netplan file that names NetworkManager`}
	}
	return Advice{fmt.Sprintf("netplan has NetworkManager configure %s, and a gateway needs systemd-networkd for it", e.Link),
		fmt.Sprintf(`write "renderer: networkd" below %s in the netplan file that defines it`, e.Link)}
}

func (e WrongRenderer) Error() string { return e.Advice().Error() }

// checkRenderer refuses what would fail once netplan generates from our file.
// It needs no line.
func checkRenderer(c *schema.Config, l Line, f Facts) error {
	if !usesNetplan(c, f) {
		return nil
	}
	if f.Renderer == networkManager {
		return WrongRenderer{}
	}
	// What is wrong with the names is said later.
	for _, name := range append([]string{cmp.Or(l.WAN.Name, c.WAN)}, l.LAN...) {
		if d, ok := f.definitionOf(name); ok && d.Renderer == networkManager {
			return WrongRenderer{name}
		}
	}
	return nil
}
