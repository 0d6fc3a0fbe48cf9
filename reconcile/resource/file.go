// Package resource has the kinds of things that the program owns, one in each file.
package resource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
)

// A File is a whole file of the program's own. Without Data it is absent.
type File struct {
	Path string // absolute, below Host.Root
	Mode fs.FileMode
	Data string // begins with the heading
}

func (f File) Name() string { return "file " + f.Path }

func (f File) Traits() engine.Traits {
	return engine.Traits{Stage: engine.Files, Path: f.Path, Daemon: true}
}

func (f File) Text() string {
	if f.Data == "" {
		return ""
	}
	return fmt.Sprintf("mode %04o\n%s", f.Mode.Perm(), f.Data)
}

// Read returns the file as it is, or an error if another program wrote it.
func (f File) Read(_ context.Context, h *host.Host) (engine.Resource, error) { return f.Live(h) }

// Live is Read, as a file.
func (f File) Live(h *host.Host) (File, error) {
	live := File{Path: f.Path}
	info, err := h.Root.Lstat(host.Local(f.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return live, nil
	}
	if err != nil {
		return live, h.Unreached(f.Path, err)
	}
	if !info.Mode().IsRegular() {
		if f.Data == "" {
			return live, nil // Ours is absent, whatever that is.
		}
		if target, _ := h.Root.Readlink(host.Local(f.Path)); target == os.DevNull && path.Ext(f.Path) == ".service" {
			return live, fmt.Errorf("unit %s: %w", path.Base(f.Path), masked(path.Base(f.Path)))
		}
		return live, fmt.Errorf("is not a regular file but %s; move it away first", info.Mode().Type())
	}
	data, err := h.ReadFile(f.Path)
	if err != nil {
		return live, err
	}
	live.Mode, live.Data = info.Mode().Perm(), string(data)
	if live.Data == "" {
		live.Data = "\n" // An emptied file is not an absent one.
	}
	if strings.TrimSpace(live.Data) != "" && !strings.HasPrefix(live.Data, host.Mark) {
		if f.Data == "" {
			return File{Path: f.Path}, nil // Ours is absent: that is another program's.
		}
		return live, errors.New("was not written by mape-netplan (its first line does not say so); move it away first")
	}
	return live, nil
}

// Write replaces the file atomically, or removes it.
func (f File) Write(_ context.Context, h *host.Host) error {
	if f.Data == "" {
		return h.Remove(f.Path)
	}
	return h.Replace(f.Path, f.Mode, f.Data)
}
