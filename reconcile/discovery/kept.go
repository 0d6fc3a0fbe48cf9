package discovery

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
)

// NamesPath is the file with the addresses of far ends, for when the line's resolvers do not answer. It has no secret.
const NamesPath = "/var/lib/mape-netplan/names.json"

// A Kept is a file with what the line said, other than its rules. Without Data it is absent.
type Kept struct{ Path, Data string }

func (k Kept) Name() string { return "file " + k.Path }

func (k Kept) Traits() engine.Traits {
	return engine.Traits{Stage: engine.Files, Path: k.Path, Daemon: true}
}

// Text tells one content from another without what is only between the user and the provider.
func (k Kept) Text() string {
	if k.Data == "" {
		return ""
	}
	return fmt.Sprintf("%d bytes, SHA-256 %x\n", len(k.Data), sha256.Sum256([]byte(k.Data)))
}

func (k Kept) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	data, err := h.ReadPrivate(k.Path)
	return Kept{k.Path, data}, err
}

func (k Kept) Write(_ context.Context, h *host.Host) error { return h.WritePrivate(k.Path, k.Data) }

// readKept reads such a file into v. It reports false where it is missing or damaged: then the line is asked
// again. The error for a file that the caller may not read is a host.Unread.
func readKept(h *host.Host, path string, v any) (bool, error) {
	data, err := h.ReadFile(path)
	if errors.Is(err, fs.ErrPermission) {
		return false, host.Unread{{Path: path, Err: err}}
	}
	return err == nil && json.Unmarshal(data, v) == nil, nil
}

// keep writes v to such a file.
func keep(h *host.Host, path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		err = h.WritePrivate(path, string(data)+"\n")
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnkept, path, err)
	}
	return nil
}

// ReadNames reads the names that are kept; nil if there are none.
func ReadNames(h *host.Host) (Names, error) {
	var all Names
	ok, err := readKept(h, NamesPath, &all)
	if !ok {
		all = nil
	}
	return all, err
}

// Keep writes the names to their file.
func (all Names) Keep(h *host.Host) error { return keep(h, NamesPath, all) }
