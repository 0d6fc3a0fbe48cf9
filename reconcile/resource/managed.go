package resource

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/networkd"
)

// Managed is a link that networkd configures by a file of ours.
type Managed struct {
	Link    string
	File    string // a .network file, or a drop-in for one
	Netdev  string // the .netdev file that the link is made by, if it is ours
	Data    string // what Netdev or else File says; "" is not looked at
	Present bool
	// Asks says that File has networkd ask for a delegated prefix, LinkLayer that it does by a DUID of that type.
	Asks      bool
	LinkLayer bool
}

func (m Managed) Name() string { return "networkd " + m.Link }

func (m Managed) Traits() engine.Traits { return engine.Traits{Link: m.Link, Daemon: true} }

func (m Managed) Text() string {
	if !m.Present {
		return ""
	}
	return "configured by " + m.File + "\n"
}

// An outdated Managed link is configured by a file that has been, or is going
// to be, written anew.
type outdated struct{ Managed }

func (o outdated) Text() string { return "configured by an earlier " + o.File + "\n" }

// An awaiting Managed link asks for a prefix and has none, as in the seconds
// after networkd has configured it anew. That comes by itself.
type awaiting struct{ Managed }

func (a awaiting) Text() string { return a.Managed.Text() + "no delegated prefix yet\n" }

func (a awaiting) Restore(engine.Resource) []engine.Resource { return []engine.Resource{a.Managed} }

// Settles: networkd gets a prefix within seconds of having configured the link.
func (a awaiting) Settles(want engine.Resource) bool { return a.Managed.Text() == want.Text() }

func (m Managed) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	live := Managed{Link: m.Link, File: m.File, Netdev: m.Netdev, Data: m.Data, Asks: m.Asks, LinkLayer: m.LinkLayer}
	link, err := kernel.LinkByName(h, m.Link)
	if link == nil {
		return live, err
	}
	index := link.Attrs().Index
	file, _ := networkd.LinkState(h, index, "NETWORK_FILE")
	dropIns, told := networkd.LinkState(h, index, "NETWORK_FILE_DROPINS")
	if !told && m.File != networkd.NetworkPath {
		// systemd 252 does not tell. Then one reload is due when the file
		// comes or goes.
		live.Present = h.IsRegular(m.File)
	} else {
		files := strings.FieldsFunc(dropIns, func(r rune) bool { return r == ':' || r == ' ' })
		live.Present = slices.Contains(append(files, file), m.File)
	}
	if !live.Present || !m.Present {
		return live, nil
	}
	if isOutdated(h, m, index) {
		return outdated{live}, nil
	}
	if m.Asks && h.Bus != nil {
		delegated, err := networkd.IsDelegated(h, index)
		if !delegated {
			return awaiting{live}, err
		}
	}
	return live, nil
}

// isOutdated reports whether networkd has to read the file again: it is about to
// be rewritten, or the DHCPv6 client uses another type of DUID than the file sets.
func isOutdated(h *host.Host, m Managed, index int) bool {
	if m.Data == "" {
		return false
	}
	data, err := h.ReadFile(cmp.Or(m.Netdev, m.File))
	if err == nil && string(data) != m.Data {
		return true
	}
	kind := networkd.DUIDType(h, index)
	return kind != "" && m.LinkLayer && kind != networkd.LinkLayerDUID
}

// Write has networkd read its files again, which configures the links whose
// files changed.
func (m Managed) Write(ctx context.Context, h *host.Host) error {
	if h.Bus == nil {
		return nil
	}
	// networkd would not say so.
	if _, err := linkOf(h, m.Link, m.Present); err != nil {
		return err
	}
	return h.Bus.Reload(ctx)
}
