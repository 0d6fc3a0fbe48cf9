package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// LockPath is the file whose flock lets one run at a time change the machine.
// The kernel frees it however the run ends.
const LockPath = "/run/mape-netplan.lock"

var ErrLocked = errors.New("another run is at work")

// Lock waits until no other run holds the machine. who is what the next one
// will be told. The error of a wait that ctx ended says who holds it.
func (h *Host) Lock(ctx context.Context, who string) (unlock func(), err error) {
	if _, err := h.Root.Stat(path.Dir(Local(LockPath))); err != nil {
		h.madeRun = true
	}
	for {
		f, holder, err := h.tryLock()
		if err != nil {
			return nil, err
		}
		if f != nil {
			// What is written here only informs: a full /run must not stop the run.
			if f.Truncate(0) == nil {
				_, _ = fmt.Fprintf(f, "%s, pid %d, since %s\n", who, os.Getpid(), time.Now().Format(time.RFC3339))
			}
			return func() { h.unlock(f) }, nil
		}
		if Wait(ctx, 2*Settle) != nil {
			return nil, fmt.Errorf("%w: %s (it holds %s)", ErrLocked, holder, LockPath)
		}
	}
}

// tryLock returns the locked file, or who holds it.
func (h *Host) tryLock() (f *os.File, holder string, err error) {
	if err := h.Root.MkdirAll(path.Dir(Local(LockPath)), 0o755); err != nil {
		return nil, "", err
	}
	f, err = h.Root.OpenFile(Local(LockPath), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil // The last holder has just removed the directory.
	}
	if err != nil {
		return nil, "", err
	}
	if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		// The last holder removed the file: one that has no name any more
		// locks nobody out.
		locked, _ := f.Stat()
		if named, err := h.Root.Stat(Local(LockPath)); err == nil && os.SameFile(locked, named) {
			return f, "", nil
		}
		err = unix.EWOULDBLOCK
	}
	defer f.Close()
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return nil, "", fmt.Errorf("%s: %w", LockPath, err)
	}
	text, _ := io.ReadAll(io.LimitReader(f, 200))
	return nil, strings.TrimSpace(string(text)), nil
}

// unlock leaves nothing behind, not even where a directory that stands for a
// machine had no /run.
func (h *Host) unlock(f *os.File) {
	_ = h.Root.Remove(Local(LockPath))
	if h.madeRun {
		_ = h.Root.Remove(path.Dir(Local(LockPath))) // Fails when it is not empty.
	}
	f.Close()
}
