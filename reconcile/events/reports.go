package events

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mape-netplan/reconcile/engine"
)

// Reports say that something may have changed, not what: their reader looks at everything. Each channel holds one report,
// because a second one before the first is read says nothing more.
type Reports struct {
	Changed   chan struct{} // something that a gateway depends on
	Unrelated chan struct{} // only the rules of others, or addresses of links that no gateway depends on, see SetUnrelated
	Table     chan struct{} // our nftables table: until it is back, packets may leave untranslated
	Failed    chan error    // a socket cannot be read any more: changes are missed from now on

	rules     atomic.Bool // those of others in nf_tables have changed
	mu        sync.Mutex
	unrelated map[uint32]bool          // indexes of links
	actors    map[engine.Event]process // the last one of each kind of event
}

// NewReports makes the channels.
func NewReports() *Reports {
	return &Reports{
		Changed: make(chan struct{}, 1), Unrelated: make(chan struct{}, 1), Table: make(chan struct{}, 1), Failed: make(chan error, 1),
		actors: map[engine.Event]process{},
	}
}

// Wake reports a change on Changed.
func (r *Reports) Wake() { notify(r.Changed) }

// notify never blocks.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// SetUnrelated sets the links, by index, whose addresses no gateway depends on.
func (r *Reports) SetUnrelated(links map[uint32]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unrelated = links
}

func (r *Reports) isUnrelated(link uint32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unrelated[link]
}

// RulesChanged reports whether others have changed rules in nf_tables since it was last called.
func (r *Reports) RulesChanged() bool { return r.rules.Swap(false) }

// DropUnrelated discards a report of unrelated links: a look begins, and sees what it is about.
func (r *Reports) DropUnrelated() {
	select {
	case <-r.Unrelated:
	default:
	}
}

// A process has changed something. Its name is "" where it is not known.
type process struct {
	pid  int
	name string
	at   time.Time
}

// String is "nft, pid 812", or "" for a process that is not known.
func (p process) String() string {
	if p.name == "" {
		return ""
	}
	return fmt.Sprintf("%s, pid %d", p.name, p.pid)
}

// record notes which process has sent a change. The kernel tells a sender by the port ID of its socket, which is the
// process's ID for its first socket. name is "" where the kernel does not say it: it is looked up, while the process is
// still there.
func (r *Reports) record(kind engine.Event, pid int, name string) {
	if name == "" && pid > 0 {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		name = strings.TrimSpace(string(comm))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.actors[kind] = process{pid, name, time.Now()}
}

// isSelf reports whether a process ID is ours, or that of one of our threads: nf_tables reports those.
func isSelf(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", pid))
	return err == nil
}

// recent is how long after an event a drift is blamed on its sender.
const recent = 2 * time.Second

// ChangedBy returns the process that has just changed something of a resource's kind, as "nft, pid 812", and forgets it;
// "" where none is known.
func (r *Reports) ChangedBy(drifted engine.Resource) string {
	kind := drifted.Traits().Event
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.actors[kind]
	delete(r.actors, kind)
	if time.Since(p.at) > recent {
		return ""
	}
	return p.String()
}
