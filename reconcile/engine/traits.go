package engine

// Traits are what the engine and the watch need to know of a kind besides its text. The zero value is a live resource
// without an interface.
type Traits struct {
	Stage Stage
	// Link is the interface that the resource is on and is deleted with; Makes is the interface that the resource is.
	Link, Makes string
	// Event is the kind of message by which the kernel reports a change. A Polled resource is read from time to time
	// instead.
	Event  Event
	Polled bool
	// Path is the file that the resource is, or is kept in.
	Path string
	// Daemon marks what packets do not depend on: a file or a state for a daemon or for the next boot.
	Daemon bool
	// Shared marks what is generated from files of other programs as well: it waits while one of them cannot be read.
	Shared bool
	// Urgent marks what is retried every second, without backoff: without it packets leave untranslated.
	Urgent bool
	// Transient marks what is only ever removed and cannot be brought back.
	Transient bool
}

// A Stage is when a rollback writes a resource back: lower stages first.
type Stage int

const (
	Files   Stage = iota - 1 // before the daemons that read them are told
	Live                     // the zero value
	Cleanup                  // what was let in meanwhile
)

// An Event is a kind of message by which the kernel reports a change.
type Event string

const (
	LinkEvent    Event = "link"
	AddressEvent Event = "address"
	RouteEvent   Event = "route"
	TableEvent   Event = "table"
	FilterEvent  Event = "filter"
)
