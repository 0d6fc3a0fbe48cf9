package kernel

import (
	"errors"

	"github.com/vishvananda/netlink"
)

// WithRetry lists something of the kernel again until nothing changed meanwhile, as a router advertisement changes
// addresses: the kernel then says that the list may lack something.
func WithRetry[T any](list func() ([]T, error)) (all []T, err error) {
	for range 100 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return all, err
}
