package resource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/networkd"
)

// A Setting is a line of a unit file that netplan's generator writes.
type Setting struct {
	File string
	Line string // "TTL=64"
}

func (s Setting) String() string { return s.File + ": " + s.Line + "\n" }

// Generated is what netplan's generator has made of netplan's files for
// networkd, as far as the program needs it.
type Generated struct {
	Settings []Setting // in networkd's generated files
	Present  bool      // that all are wanted, or none
	NoReload bool      // networkd need not read them: the kernel has been told
	found    []Setting // that are there, in a live one
}

func (g Generated) Name() string { return "netplan generate" }

func (Generated) Traits() engine.Traits { return engine.Traits{Daemon: true, Shared: true} }

func (g Generated) Text() string {
	var b strings.Builder
	settings := g.found
	if g.Present {
		settings = g.Settings
	}
	for _, s := range settings {
		b.WriteString(s.String())
	}
	return b.String()
}

func (g Generated) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	live := Generated{Settings: g.Settings}
	for _, s := range g.Settings {
		data, err := h.ReadFile(networkd.GeneratedDir + "/" + s.File)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.File, err)
		}
		options, err := unit.DeserializeOptions(strings.NewReader(string(data)))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(options, func(o *unit.UnitOption) bool { return o.Name+"="+o.Value == s.Line }) {
			live.found = append(live.found, s)
		}
	}
	return live, nil
}

// Write has the files generated again and networkd read them. That makes the
// tunnel where it is missing and configures the links whose files changed:
// nothing that "netplan apply" would restart.
func (g Generated) Write(ctx context.Context, h *host.Host) error {
	if err := netplan.Generate(h, ctx); err != nil {
		return err
	}
	if h.Bus == nil || g.NoReload {
		return nil
	}
	return h.Bus.Reload(ctx)
}
