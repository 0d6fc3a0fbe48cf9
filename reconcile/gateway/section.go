package gateway

import (
	"context"
	"crypto/sha256"
	"fmt"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/host"
)

// A LastSection is the file of [facts.LastSection] as a resource. Without Data it is absent.
type LastSection struct{ Data string }

func (LastSection) Name() string { return "file " + facts.SectionPath }

func (LastSection) Traits() engine.Traits {
	return engine.Traits{Stage: engine.Files, Path: facts.SectionPath, Daemon: true}
}

// Text tells one section from another without its secrets.
func (s LastSection) Text() string {
	if s.Data == "" {
		return ""
	}
	return fmt.Sprintf("%d bytes, SHA-256 %x\n", len(s.Data), sha256.Sum256([]byte(s.Data)))
}

func (LastSection) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	data, err := h.ReadPrivate(facts.SectionPath)
	return LastSection{data}, err
}

func (s LastSection) Write(_ context.Context, h *host.Host) error {
	return h.WritePrivate(facts.SectionPath, s.Data)
}
