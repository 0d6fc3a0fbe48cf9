package resource

import (
	"context"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
)

// A Discard is the route that keeps packets from the far end that MAP-T's tunnel has: whatever is not translated goes
// nowhere, and its sender gets an ICMP error. Without it the tunnel would encapsulate packets, and send them to the line.
type Discard struct{ Present bool }

func (d Discard) Name() string { return "route unreachable " + kernel.Discard.String() }

func (d Discard) Traits() engine.Traits { return engine.Traits{Event: engine.RouteEvent} }

func (d Discard) Text() string {
	if !d.Present {
		return ""
	}
	return "unreachable\n"
}

func (d Discard) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	present, ours, err := kernel.DiscardRoute(h)
	if !d.Present {
		present = ours // Another program's stays.
	}
	return Discard{present}, err
}

func (d Discard) Write(_ context.Context, h *host.Host) error {
	if d.Present {
		return kernel.AddDiscardRoute(h)
	}
	return kernel.DeleteDiscardRoute(h)
}
