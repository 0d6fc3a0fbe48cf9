package reconcile

import (
	"errors"

	"github.com/vishvananda/netlink"
)

// whole lists something of the kernel again until nothing changed meanwhile, as a router advertisement changes
// addresses: the kernel then says that the list may lack something.
func whole[T any](list func() ([]T, error)) (all []T, err error) {
	for range 100 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return all, err
}
