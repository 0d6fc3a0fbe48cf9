package resource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
)

// A Symlink is a symbolic link of the program's own: what "systemctl enable"
// makes. Without a Target it is absent.
type Symlink struct {
	Path   string // absolute, below Host.Root
	Target string // absolute too, as a process on the machine sees it
}

func (s Symlink) Name() string { return "link " + s.Path }

func (s Symlink) Traits() engine.Traits {
	return engine.Traits{Stage: engine.Files, Path: s.Path, Daemon: true}
}

func (s Symlink) Text() string {
	if s.Target == "" {
		return ""
	}
	return "to " + s.Target + "\n"
}

// Read returns the link as it is; a relative target is made absolute, because
// systemctl has written both kinds.
func (s Symlink) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	live := Symlink{Path: s.Path}
	info, err := h.Root.Lstat(host.Local(s.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return live, nil
	}
	if err != nil {
		return nil, h.Unreached(s.Path, err)
	}
	if info.Mode().Type() != fs.ModeSymlink {
		if s.Target == "" {
			return live, nil // Ours is absent, whatever that is.
		}
		return nil, errors.New("is not a symbolic link; move it away first")
	}
	if live.Target, err = h.Root.Readlink(host.Local(s.Path)); err != nil {
		return nil, err
	}
	if !path.IsAbs(live.Target) {
		live.Target = path.Join(path.Dir(s.Path), live.Target)
	}
	return live, nil
}

// Write replaces the link atomically, or removes it.
func (s Symlink) Write(_ context.Context, h *host.Host) error {
	if s.Target == "" {
		return h.Remove(s.Path)
	}
	name := host.Local(s.Path)
	done, err := h.MakeDir(path.Dir(name))
	defer done()
	if err != nil {
		return err
	}
	temporary := host.Temporary(name)
	if err := h.Root.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := h.Root.Symlink(s.Target, temporary); err != nil {
		return fmt.Errorf("symlink: %w", err)
	}
	if err := h.Root.Rename(temporary, name); err != nil {
		_ = h.Root.Remove(temporary)
		return err
	}
	return h.SyncDir(path.Dir(name))
}
