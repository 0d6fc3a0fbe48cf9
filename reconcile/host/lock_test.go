package host_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/hosttest"
)

// TestLock lets one run at a time work, and names it to the next one, which waits.
func TestLock(t *testing.T) {
	h, _ := hosttest.HostOf(t, "")
	h.Net = new(netlink.Handle) // a machine, not a directory
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, first := range []string{"mape-netplan watch, of the units that were installed long ago", "mape-netplan apply"} {
		unlock, err := h.Lock(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.Lock(ended, "mape-netplan remove")
		if !errors.Is(err, host.ErrLocked) || !strings.HasPrefix(err.Error(), "another run is in progress: "+first+", pid ") || !strings.HasSuffix(err.Error(), " (it holds /run/mape-netplan.lock)") {
			t.Errorf("the error is %v", err)
		}
		next := make(chan error)
		go func() {
			unlock, err := h.Lock(context.Background(), "mape-netplan remove")
			if err == nil {
				unlock()
			}
			next <- err
		}()
		unlock()
		if err := <-next; err != nil {
			t.Error(err)
		}
	}
}

// TestLockOfDirectory: a directory that stands for a machine has no lock, and nothing is left in it.
func TestLockOfDirectory(t *testing.T) {
	h, _ := hosttest.HostOf(t, "")
	for range 2 {
		if _, err := h.Lock(t.Context(), "mape-netplan apply"); err != nil {
			t.Fatal(err)
		}
	}
	if d, err := h.Root.Open("."); err != nil {
		t.Error(err)
	} else if names, err := d.Readdirnames(-1); err != nil || len(names) > 0 {
		t.Errorf("%q, %v", names, err)
	}
}

// TestLockInPlace: a link or anything else in the place of the lock is left as it is, and what a link leads to as well.
func TestLockInPlace(t *testing.T) {
	h, dir := hosttest.HostOf(t, "-- run/other --\nkeep\n")
	h.Net = new(netlink.Handle)
	for _, make := range []func(name string) error{
		func(name string) error { return os.Symlink("other", name) },
		func(name string) error { return os.Symlink("missing", name) },
		func(name string) error { return syscall.Mkfifo(name, 0o600) },
		func(name string) error { return os.Mkdir(name, 0o700) },
	} {
		name := dir + host.LockPath
		if err := make(name); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Lock(t.Context(), "mape-netplan apply"); !errors.Is(err, host.ErrNotRegular) {
			t.Error(err)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if data, err := os.ReadFile(dir + "/run/other"); err != nil || string(data) != "keep\n" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := os.Lstat(dir + "/run/missing"); err == nil {
		t.Error("the lock is where the link leads to")
	}
}
