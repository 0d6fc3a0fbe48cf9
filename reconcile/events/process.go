package events

import (
	"fmt"
	"os"
	"strings"
	"time"

	"mape-netplan/reconcile/engine"
)

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
func (e *Listener) record(kind engine.Event, pid int, name string) {
	if name == "" && pid > 0 {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		name = strings.TrimSpace(string(comm))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.actors[kind] = process{pid, name, time.Now()}
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
func (e *Listener) ChangedBy(r engine.Resource) string {
	kind := r.Traits().Event
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.actors[kind]
	delete(e.actors, kind)
	if time.Since(p.at) > recent {
		return ""
	}
	return p.String()
}
