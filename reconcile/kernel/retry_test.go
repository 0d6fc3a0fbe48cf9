package kernel_test

import (
	"testing"

	"github.com/vishvananda/netlink"

	"mape-netplan/reconcile/kernel"
)

// TestWithRetry: only an interrupted list is requested again, and not for ever.
func TestWithRetry(t *testing.T) {
	for interruptions, wantErr := range map[int]bool{0: false, 3: false, 1000: true} {
		asked := 0
		all, err := kernel.WithRetry(func() ([]int, error) {
			if asked++; asked <= interruptions {
				return nil, netlink.ErrDumpInterrupted
			}
			return []int{1}, nil
		})
		if (err != nil) != wantErr || !wantErr && (len(all) != 1 || asked != interruptions+1) {
			t.Errorf("%d interruptions: %v, %v after %d", interruptions, all, err, asked)
		}
	}
}
