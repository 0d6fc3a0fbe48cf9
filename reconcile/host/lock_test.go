package host_test

import (
	"context"
	"errors"
	"strings"
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
