// Package engine plans, converges and rolls back resources of kinds that it does not know.
package engine

import (
	"context"

	"mape-netplan/reconcile/host"
)

// A Resource is one thing on the machine that the program owns: a file, a link, a table.
type Resource interface {
	// Name is in the words of the tool that shows the resource: "file /etc/netplan/99-ipoe-gw.yaml", "table ip mape".
	Name() string
	// Text is the canonical state; "" is absent. Equal texts are equal states.
	Text() string
	// Read returns the live counterpart. Its error wraps fs.ErrPermission where the caller may not look.
	Read(context.Context, *host.Host) (Resource, error)
	// Write makes the live state this one.
	Write(context.Context, *host.Host) error
	// Traits are what the engine and the watch need to know of the kind besides its text.
	Traits() Traits
}

// A Restorer is a live resource that a rollback brings back by writing other resources than itself. after is what
// replaced it.
type Restorer interface {
	Restore(after Resource) []Resource
}

// A Settler is a live resource that may become what is wanted without a write, as an address does after duplicate
// address detection. It is waited for.
type Settler interface{ Settles(want Resource) bool }

// Settles reports whether live will become what is wanted without a write.
func Settles(want, live Resource) bool {
	s, ok := live.(Settler)
	return ok && s.Settles(want)
}

// A Removable is on an interface of the program, or is that interface. Its absence is listed before the interface goes,
// so that a rollback brings it back.
type Removable interface{ Absent() Resource }

// A Briefer has a few words for a state whose text is long; "" where the text is short.
type Briefer interface{ Brief() string }
