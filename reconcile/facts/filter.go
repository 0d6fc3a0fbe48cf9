package facts

import (
	"errors"
	"fmt"
	"slices"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
)

// barred is why nothing can filter what leaves by the tunnel. A caller without
// the right to ask takes it that something can.
func barred(h *host.Host, f Facts) error {
	links := slices.DeleteFunc(slices.Clone(f.Links), func(l kernel.Link) bool { return !slices.Contains(f.Owned.Tunnels, l.Name) })
	if len(links) == 0 { // Any link tells, and every machine has this one.
		links = slices.DeleteFunc(slices.Clone(f.Links), func(l kernel.Link) bool { return !l.Loopback })
	}
	for _, l := range links {
		err := kernel.Barred(h, l.Index)
		if errors.Is(err, kernel.ErrIngress) {
			if l.Loopback {
				continue
			}
			return fmt.Errorf("%s: %w", l.Name, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
