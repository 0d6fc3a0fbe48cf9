package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// LockPath is the file whose flock lets one run at a time change the machine. The kernel releases it however the run
// ends; the file stays.
const LockPath = "/run/mape-netplan.lock"

var ErrLocked = errors.New("another run is in progress")

// Lock waits until no other run holds the machine. who is what an error tells the next one, which names the holder when
// ctx ends its wait. A directory that stands for a machine has no runs to keep apart and no lock.
func (h *Host) Lock(ctx context.Context, who string) (unlock func(), err error) {
	if !h.Live() {
		return func() {}, nil
	}
	if err := h.Root.MkdirAll(path.Dir(Local(LockPath)), 0o755); err != nil {
		return nil, err
	}
	// What is in its place is not written to, nor what a link there leads to.
	if info, err := h.Root.Lstat(Local(LockPath)); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w; remove it", LockPath, ErrNotRegular)
	}
	f, err := h.Root.OpenFile(Local(LockPath), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || Wait(ctx, 2*Settle) != nil {
			break
		}
	}
	if err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", LockPath, err)
		}
		holder, _ := io.ReadAll(io.LimitReader(f, 200))
		return nil, fmt.Errorf("%w: %s (it holds %s)", ErrLocked, strings.TrimSpace(string(holder)), LockPath)
	}
	// What is written here only informs: a full /run must not stop the run.
	if f.Truncate(0) == nil {
		_, _ = fmt.Fprintf(f, "%s, pid %d, since %s\n", who, os.Getpid(), time.Now().Format(time.RFC3339))
	}
	return func() { f.Close() }, nil
}
