package engine

// Traits are what the engine and the watch need to know of a kind besides its text. The zero value is a live thing that
// belongs to no interface.
type Traits struct {
	Stage Stage
	// Link is the interface that the resource is on and disappears with, Makes the interface that it is; "" for neither.
	Link, Makes string
	// Event is the kind of message by which the kernel reports a change; with Polled there is none, and the resource is
	// read from time to time.
	Event  Event
	Polled bool
	// Path is the file that it is, or is kept in.
	Path string
	// Daemon marks what packets do not depend on: a file or state for a daemon or for the next boot.
	Daemon bool
	// Shared is made from files that others write as well: it waits while one of them cannot be read.
	Shared bool
	// Urgent is retried every second for as long as it drifts: without it packets leave untranslated.
	Urgent bool
	// Transient marks what is only ever removed: what is found is new each time, and what was deleted stays so.
	Transient bool
}

// A Stage is when a resource is written back in a rollback: lower ones first.
type Stage int

const (
	Files   Stage = iota - 1 // before the daemons that read them are prodded
	Live                     // the zero value
	Guard                    // when all else is back
	Cleanup                  // what the guard let in meanwhile
)

// An Event is a kind of message of the kernel that reports a change.
type Event string

const (
	LinkEvent    Event = "link"
	AddressEvent Event = "address"
	RouteEvent   Event = "route"
	TableEvent   Event = "table"
	FilterEvent  Event = "filter"
)

// A Restorer says what writing a resource back takes in a rollback from after, where that is not the resource itself.
type Restorer interface {
	Restore(after Resource) []Resource
}

func restored(c Change) []Resource {
	if r, ok := c.Before.(Restorer); ok {
		return r.Restore(c.After)
	}
	return []Resource{c.Before}
}

// A Briefer has a few words for a state whose text is long; "" where it has none.
type Briefer interface{ Brief() string }

// A Settler is a live resource that may become what is wanted by itself, as an address does after duplicate address
// detection.
type Settler interface{ Settles(want Resource) bool }

func Settles(want, live Resource) bool {
	s, ok := live.(Settler)
	return ok && s.Settles(want)
}
