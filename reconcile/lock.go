package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lockPath is the file whose flock lets one run at a time change the machine.
// The kernel frees it however the run ends.
const lockPath = "/run/mape-netplan.lock"

// Lock waits until no other run holds the machine. who is what the next one
// will be told. The error of a wait that ctx ended says who holds it.
func (h *Host) Lock(ctx context.Context, who string) (unlock func(), err error) {
	if err := h.Root.MkdirAll("run", 0o755); err != nil {
		return nil, err
	}
	f, err := h.Root.OpenFile(local(lockPath), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("%s: %w", lockPath, err)
		}
		if wait(ctx, 2*settle) != nil {
			holder, _ := io.ReadAll(io.LimitReader(f, 200))
			f.Close()
			return nil, fmt.Errorf("another run is at work: %s (it holds %s)", strings.TrimSpace(string(holder)), lockPath)
		}
	}
	// What is written here only informs: a full /run must not stop the run.
	if f.Truncate(0) == nil {
		_, _ = fmt.Fprintf(f, "%s, pid %d, since %s\n", who, os.Getpid(), time.Now().Format(time.RFC3339))
	}
	return func() { f.Close() }, nil
}
