package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Mark is how the first line of every file that the program writes begins. A
// file that begins otherwise belongs to others, whatever its path.
const Mark = "# Written by mape-netplan"

// Heading is the first line of every file that the program writes.
const Heading = Mark + "; changes made here are lost. Change the mape: section and run \"mape-netplan apply\".\n"

// Replace writes a file atomically: after a power cut the old or the new one is there.
func (h *Host) Replace(p string, mode fs.FileMode, data string) error {
	name := Local(p)
	done, err := h.MakeDir(path.Dir(name))
	defer done()
	if err != nil {
		return err
	}
	temporary := Temporary(name)
	if err := h.writeSynced(temporary, mode, data); err != nil {
		_ = h.Root.Remove(temporary)
		return err
	}
	if err := h.Root.Rename(temporary, name); err != nil {
		_ = h.Root.Remove(temporary)
		return err
	}
	return h.SyncDir(path.Dir(name))
}

// MakeDir makes a directory and those above it. done is called when something is in it.
func (h *Host) MakeDir(dir string) (done func(), err error) {
	done = func() {}
	if _, err := h.Root.Lstat(dir); err != nil {
		done, err = h.mark(dir)
		if err != nil {
			return done, err
		}
	}
	return done, h.Root.MkdirAll(dir, 0o755)
}

// mark notes that a directory of drop-ins or of systemd's links is being made or removed, until unmark: a run that is killed
// meanwhile leaves an empty one, which the next run thus tells from a user's.
func (h *Host) mark(dir string) (unmark func(), err error) {
	if !passing(dir) {
		return func() {}, nil
	}
	if err := h.Root.MkdirAll(path.Dir(dir), 0o755); err != nil {
		return func() {}, err
	}
	mark := Temporary(dir)
	return func() { _ = h.Root.Remove(mark) }, h.writeSynced(mark, 0o600, "")
}

// passing reports whether a directory goes with its last file.
func passing(dir string) bool {
	return slices.Contains([]string{".d", ".wants"}, path.Ext(dir)) && path.Base(dir) != "sysctl.d"
}

// Remove removes a file or link, and the directory of drop-ins or of systemd's links that it leaves empty.
func (h *Host) Remove(p string) error {
	name := Local(p)
	dir := path.Dir(name)
	if _, err := h.Root.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	unmark, err := h.mark(dir)
	defer unmark()
	if err == nil {
		err = h.Root.Remove(name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if passing(dir) {
		h.RemoveEmpty("/" + dir)
	}
	return nil
}

// SweepMark removes a temporary file that a killed run has left, and the directory that it marks if that is empty.
func (h *Host) SweepMark(temporary string) {
	dir, base := path.Split(temporary)
	if base = strings.TrimSuffix(strings.TrimPrefix(base, "."), ".mape-netplan"); passing(base) {
		h.RemoveEmpty(path.Join(dir, base))
	}
	_ = h.Root.Remove(Local(temporary)) // What stays is only untidy.
}

// Temporary is the name under which a file is written before it is renamed. It ends in no suffix that netplan, networkd,
// sysctl or systemd read.
func Temporary(name string) string {
	return path.Join(path.Dir(name), "."+path.Base(name)+".mape-netplan")
}

func (h *Host) writeSynced(name string, mode fs.FileMode, data string) error {
	// A link or file that an earlier run or another program left is not written through.
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

// SyncDir makes a rename survive a power cut.
func (h *Host) SyncDir(name string) error {
	d, err := h.Root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ReadPrivate reads a file that the program keeps for itself. It returns "" if the file or its directory is missing, or if it
// is not a regular file, and "\n" if it is empty.
func (h *Host) ReadPrivate(p string) (string, error) {
	info, err := h.Root.Lstat(Local(p))
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "", err
	case err != nil || !info.Mode().IsRegular():
		return "", nil
	}
	data, err := h.ReadFile(p)
	if err == nil && len(data) == 0 {
		data = []byte("\n")
	}
	return string(data), err
}

// WritePrivate replaces such a file, which only root reads; with "" it removes the file, and its directory where that has
// no other.
func (h *Host) WritePrivate(p, data string) error {
	if data != "" {
		return h.Replace(p, 0o600, data)
	}
	if live, err := h.ReadPrivate(p); err != nil || live == "" {
		return err
	}
	if err := h.Root.Remove(Local(p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	h.RemoveState(path.Dir(p))
	return nil
}

// Service is the unit that has the program's own directory mounted (ProtectSystem= and StateDirectory=).
const Service = "/etc/systemd/system/mape-netplan.service"

// RemoveState removes that directory if it is empty, but not while the unit is there: it would be gone for the service until
// that starts again.
func (h *Host) RemoveState(dir string) {
	if _, err := h.Root.Lstat(Local(Service)); err != nil {
		h.RemoveEmpty(dir)
	}
}

// RemoveEmpty removes a directory if it is empty. A link to one stays, which Root.Remove would take.
func (h *Host) RemoveEmpty(dir string) {
	parent, err := h.Root.Open(Local(path.Dir(dir)))
	if err != nil {
		return
	}
	defer parent.Close()
	_ = unix.Unlinkat(int(parent.Fd()), path.Base(dir), unix.AT_REMOVEDIR) // Where others have files there, it fails.
}

// Unreached is err, or why a path cannot be reached: a Root does not follow a
// directory's link to an absolute path, which leads out of an image.
func (h *Host) Unreached(p string, err error) error {
	for dir := path.Dir(p); dir != "/"; dir = path.Dir(dir) {
		if target, e := h.Root.Readlink(Local(dir)); e == nil && path.IsAbs(target) {
			relative, _ := filepath.Rel(path.Dir(dir), target) // Both are absolute.
			return fmt.Errorf("%s is a link to the absolute path %s, which is not followed; make it one to %s", dir, target, relative)
		}
	}
	return err
}

// IsRegular reports whether a path is a file, not a link or a directory.
func (h *Host) IsRegular(p string) bool {
	info, err := h.Root.Lstat(Local(p))
	return err == nil && info.Mode().IsRegular()
}

// Local is an absolute path relative to a root.
func Local(p string) string { return strings.TrimPrefix(path.Clean(p), "/") }
