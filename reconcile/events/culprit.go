package events

import (
	"fmt"
	"os"
	"strings"
	"time"

	"mape-netplan/reconcile/engine"
)

// A culprit is the process that has changed something; without a name nobody
// knows.
type culprit struct {
	pid  int
	name string
	at   time.Time
}

// Did is what the culprit has done, to be put behind what has been.
func (c culprit) Did() string {
	if c.name == "" {
		return ""
	}
	return fmt.Sprintf(" (by %s, pid %d)", c.name, c.pid)
}

// blame notes who has sent a change of some kind. The kernel tells a sender by
// the address of its socket, which is the process's number unless that had
// several; without a name it is looked up, while the process is still there.
func (e *Listener) blame(kind engine.Event, pid int, name string) {
	if name == "" && pid > 0 {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		name = strings.TrimSpace(string(comm))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.culprits[kind] = culprit{pid, name, time.Now()}
}

// own says whether a number is of this process, or of a thread of it: nf_tables
// tells of those.
func own(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", pid))
	return err == nil
}

// recent is how old a change can be that what differs now comes from.
const recent = 2 * time.Second

// Who returns the last one that changed something of a resource's kind, once.
func (e *Listener) Who(r engine.Resource) culprit {
	kind := r.Traits().Event
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.culprits[kind]
	delete(e.culprits, kind)
	if time.Since(c.at) > recent {
		return culprit{}
	}
	return c
}
