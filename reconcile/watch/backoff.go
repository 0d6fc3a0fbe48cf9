package watch

import (
	"slices"
	"time"

	"mape-netplan/reconcile/engine"
)

// A ledger has, by name, the resources that had to be mended lately.
type ledger map[string]*mending

// A mending is what is known of a resource that does not stay as it was made.
type mending struct {
	count int       // how often it was mended in a row, and undone
	until time.Time // when it may be mended again
	good  time.Time // since when it has been as wanted; zero is not
	said  bool      // that mending it does not hold

	unread time.Time // since when it cannot be read; zero is not
	unmade time.Time // since when it cannot be mended; zero is not
	link   int       // the index that its link had when it could not be; 0 is none
}

// The pause after a mending before the same resource is mended again: mendFirst
// for the first few, in case two people are at work, then doubled each time up
// to mendMost. The table is the guard: without it addresses of the LAN leave by
// the tunnel.
const (
	mendFirst     = 100 * time.Millisecond
	mendMost      = 5 * time.Minute
	mendMostTable = time.Second
	// mendMostFailed bounds the pause after what could not be mended: its cause
	// may go at any time, and nobody undoes anything.
	mendMostFailed = 5 * time.Second
	// few is how many mendings in a row do not hold before that is said, and
	// calm is how long one has to hold to end the row.
	few  = 8
	calm = 10 * time.Second
)

// of returns what is known of a resource, to be added to.
func (l ledger) of(name string) *mending {
	if l[name] == nil {
		l[name] = &mending{}
	}
	return l[name]
}

// mostPause bounds the pauses that a resource can have.
func mostPause(r engine.Resource) time.Duration {
	if r.Traits().Urgent {
		return mendMostTable
	}
	return mendMost
}

// failing is the pause after a failure of something that has failed since then:
// as long again, so that it doubles however often somebody looks meanwhile. A
// zero since is set.
func failing(since *time.Time, now time.Time, most time.Duration) time.Duration {
	if since.IsZero() {
		*since = now
	}
	return min(max(now.Sub(*since), mendFirst), most)
}

// contested are the resources that cannot be mended, or that somebody keeps
// undoing.
func (l ledger) contested() (names []string) {
	for name, m := range l {
		if m.said || !m.unmade.IsZero() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// wait is how long a resource is not to be mended yet. One that could not be is
// tried at once where its link, of that index now, has gone or come since.
func (m *mending) wait(link int) time.Duration {
	if m == nil || !m.unmade.IsZero() && m.link != link {
		return 0
	}
	return time.Until(m.until)
}

// mended notes that a resource was, and returns the pause.
func (m *mending) mended(r engine.Resource) time.Duration {
	m.unmade = time.Time{}
	m.count++
	return doubled(mendFirst, mostPause(r), m.count-few+1)
}

// failed notes that a resource could not be mended while its link had that
// index, and returns the pause.
func (m *mending) failed(r engine.Resource, link int, now time.Time) time.Duration {
	if m.link != link {
		m.unmade, m.link = time.Time{}, link
	}
	return failing(&m.unmade, now, min(mostPause(r), mendMostFailed))
}
