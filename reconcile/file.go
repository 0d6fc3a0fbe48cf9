package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// mark is how the first line of every file that the program writes begins. A
// file at one of its paths that begins otherwise is somebody else's.
const mark = "# Written by mape-netplan"

// heading is the first line of every file that the program writes.
const heading = mark + "; changes made here are lost. Change the mape: section and run \"mape-netplan apply\".\n"

// A File is a whole file of the program's own. Without Data it is absent.
type File struct {
	Path string // absolute, below Host.Root
	Mode fs.FileMode
	Data string // begins with the heading
}

func (f File) Name() string { return "file " + f.Path }

func (f File) Traits() Traits { return Traits{Stage: Files, Path: f.Path, Daemon: true} }

func (f File) Text() string {
	if f.Data == "" {
		return ""
	}
	return fmt.Sprintf("mode %04o\n%s", f.Mode.Perm(), f.Data)
}

// Read returns the file as it is, or an error if another program wrote it.
func (f File) Read(_ context.Context, h *Host) (Resource, error) {
	live, err := f.Live(h)
	return live, err
}

// Live is Read, as a file.
func (f File) Live(h *Host) (File, error) {
	live := File{Path: f.Path}
	info, err := h.Root.Lstat(local(f.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return live, nil
	}
	if err != nil {
		return live, h.unreached(f.Path, err)
	}
	if !info.Mode().IsRegular() {
		if f.Data == "" {
			return live, nil // Ours is absent, whatever that is.
		}
		if target, _ := h.Root.Readlink(local(f.Path)); target == os.DevNull && path.Ext(f.Path) == ".service" {
			return live, fmt.Errorf("unit %s: %w", path.Base(f.Path), masked(path.Base(f.Path)))
		}
		return live, fmt.Errorf("is not a regular file but %s; move it away first", info.Mode().Type())
	}
	data, err := h.Root.ReadFile(local(f.Path))
	if err != nil {
		return live, err
	}
	live.Mode, live.Data = info.Mode().Perm(), string(data)
	if live.Data == "" {
		live.Data = "\n" // An emptied file is not an absent one.
	}
	if strings.TrimSpace(live.Data) != "" && !strings.HasPrefix(live.Data, mark) {
		if f.Data == "" {
			return File{Path: f.Path}, nil // Ours is absent, whoever's that is.
		}
		return live, errors.New("was not written by mape-netplan (its first line does not say so); move it away first")
	}
	return live, nil
}

// Write replaces the file atomically, or removes it and the drop-in directory
// that it leaves empty.
func (f File) Write(_ context.Context, h *Host) error {
	name := local(f.Path)
	if f.Data == "" {
		if err := h.Root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if dir := path.Dir(name); strings.HasSuffix(dir, ".d") && path.Base(dir) != "sysctl.d" {
			_ = h.Root.Remove(dir) // Fails when it is not empty: then it is not ours to remove.
		}
		return nil
	}
	return h.replace(f.Path, f.Mode, f.Data)
}

// replace writes a file atomically.
func (h *Host) replace(p string, mode fs.FileMode, data string) error {
	name := local(p)
	if err := h.Root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	// The name ends in no suffix that netplan, networkd or sysctl read.
	temporary := path.Join(path.Dir(name), "."+path.Base(name)+".mape-netplan")
	if err := h.writeSynced(temporary, mode, data); err != nil {
		_ = h.Root.Remove(temporary)
		return err
	}
	if err := h.Root.Rename(temporary, name); err != nil {
		_ = h.Root.Remove(temporary)
		return err
	}
	return h.syncDir(path.Dir(name))
}

func (h *Host) writeSynced(name string, mode fs.FileMode, data string) error {
	// One that was left, or that somebody put there, is not written through.
	if err := h.Root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	w, err := h.Root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, mode)
	if err != nil {
		return err
	}
	_, err = w.WriteString(data)
	return errors.Join(err, w.Chmod(mode), w.Sync(), w.Close())
}

// syncDir makes a rename survive a power cut.
func (h *Host) syncDir(name string) error {
	d, err := h.Root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readFile reads a file of somebody else, which may be a link to an absolute
// path: those a Root does not follow.
func (h *Host) readFile(p string) ([]byte, error) {
	if target, err := h.Root.Readlink(local(p)); err == nil && path.IsAbs(target) {
		p = target
	}
	return h.Root.ReadFile(local(p))
}

// unreached explains why a path cannot be looked at: a Root does not follow a
// link to an absolute path, which leads out of an image.
func (h *Host) unreached(p string, err error) error {
	for dir := path.Dir(p); dir != "/"; dir = path.Dir(dir) {
		if target, e := h.Root.Readlink(local(dir)); e == nil && path.IsAbs(target) {
			relative, _ := filepath.Rel(path.Dir(dir), target) // Both are absolute.
			return fmt.Errorf("%s is a link to the absolute path %s, which is not followed; make it one to %s", dir, target, relative)
		}
	}
	return err
}

// isRegular says whether there is a file, and no link or directory.
func (h *Host) isRegular(p string) bool {
	info, err := h.Root.Lstat(local(p))
	return err == nil && info.Mode().IsRegular()
}

// local turns an absolute path into one below a root.
func local(p string) string { return strings.TrimPrefix(path.Clean(p), "/") }
