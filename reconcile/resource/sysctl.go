package resource

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/sysctld"
)

// A Sysctl is a running kernel parameter. Without a Value it is absent: its
// interface does not exist.
type Sysctl struct {
	Key   string // path below /proc/sys: "net/ipv4/ip_forward"
	Value string
}

func (s Sysctl) Name() string { return "sysctl " + s.Key }

func (s Sysctl) Traits() engine.Traits {
	return engine.Traits{Link: sysctld.FilterLink(s.Key), Polled: s.Key == sysctld.ConntrackMaxKey}
}

func (s Sysctl) Absent() engine.Resource { return Sysctl{Key: s.Key} }

func (s Sysctl) Text() string {
	if s.Value == "" {
		return ""
	}
	return s.Value + "\n"
}

func (s Sysctl) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	data, err := h.Sys.ReadFile(s.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return Sysctl{Key: s.Key}, nil
	}
	return Sysctl{s.Key, strings.TrimSpace(string(data))}, err
}

// Write sets the value; an absent one went with its interface.
func (s Sysctl) Write(_ context.Context, h *host.Host) error {
	if s.Value == "" {
		return nil
	}
	w, err := h.Sys.OpenFile(s.Key, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = w.WriteString(s.Value)
	return errors.Join(err, w.Close())
}
