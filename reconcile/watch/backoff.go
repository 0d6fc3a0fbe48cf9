package watch

import (
	"slices"
	"time"

	"mape-netplan/reconcile/engine"
)

// The timings are how long a watch waits. Tests have shorter ones than [defaultTimings].
type timings struct {
	// Events are coalesced: a pass begins when none has come for settle, and settleMost after the first at the latest.
	// settle doubles, up to half of settleMost, with each pass in a row that had nothing to do.
	settle, settleMost time.Duration
	// Events of unrelated links are coalesced for longer, and delay no others.
	unrelated, unrelatedMost time.Duration
	// table is the least time between a pass and the next one for our nftables table, which waits for nothing else:
	// without it addresses of the LAN leave by the tunnel.
	table time.Duration

	poll       time.Duration // between two reads of what the kernel sends no events about
	lock       time.Duration // between two tries of a lock that another run holds
	unreadable time.Duration // between two tries of files that cannot be read; a symbolic link's target wakes nothing
	silent     time.Duration // without an answer through the tunnel, after which the line is asked for its far end again
	settling   time.Duration // until the next look at what changes by itself, and after a look that failed

	// What cannot be applied is retried after retry, doubled each time, up to retryMost.
	retry, retryMost time.Duration
	// What was restored is restored again after repair at the earliest, in case an administrator is at work. From the
	// tolerated'th time in a row on this doubles, up to repairMost, or tableMost for what is urgent.
	repair, repairMost, tableMost time.Duration
	// What cannot be restored is retried up to failedMost apart: no other program undoes it, and its cause may go at any time.
	failedMost time.Duration
	// A resource that has stayed in sync for stable begins a new row.
	stable time.Duration
}

var defaultTimings = timings{
	settle: 50 * time.Millisecond, settleMost: 600 * time.Millisecond,
	unrelated: time.Second, unrelatedMost: 10 * time.Second,
	table: 100 * time.Millisecond,

	poll:       500 * time.Millisecond,
	lock:       200 * time.Millisecond,
	unreadable: 5 * time.Second,
	silent:     30 * time.Second,
	settling:   time.Second,

	retry: time.Second, retryMost: 5 * time.Minute,
	repair: 100 * time.Millisecond, repairMost: 5 * time.Minute, tableMost: time.Second,
	failedMost: 5 * time.Second,
	stable:     10 * time.Second,
}

// doubled is the n-th pause, n from 1, of those that double from first to most.
func doubled(first, most time.Duration, n int) time.Duration {
	for ; n > 1 && first < most; n-- {
		first *= 2
	}
	return min(first, most)
}

// soonest is the shorter of two waits, of which 0 is for ever.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// A retry is when something that failed is tried again.
type retry struct {
	what  string // of which the failure was
	count int
	at    time.Time
}

// due reports whether what may be tried now; something else than what failed always may.
func (r *retry) due(what string, now time.Time) bool {
	if r.what != what {
		*r = retry{what: what}
	}
	return !now.Before(r.at)
}

func (r *retry) failed(t *timings, now time.Time) {
	r.count++
	r.at = now.Add(doubled(t.retry, t.retryMost, r.count))
}

// A backoff delays the repairs of a resource that does not stay as it was applied.
type backoff struct {
	count    int       // repairs in a row that did not last
	next     time.Time // when it may be repaired again
	inSync   time.Time // since when it is as wanted; zero when it is not
	reported bool      // that repairs do not last

	unread   time.Time // since when it cannot be read; zero when it can
	unfixed  time.Time // since when it cannot be repaired; zero when it can
	linkThen int       // the index of its link when it could not be repaired; 0 when there was none
}

// tolerated is how many repairs in a row do not last before that is reported, and repaired less often.
const tolerated = 8

// backoffs are those of the resources that were repaired lately, by name.
type backoffs map[string]*backoff

// of returns a resource's backoff, which is added where there is none.
func (all backoffs) of(name string) *backoff {
	if all[name] == nil {
		all[name] = &backoff{}
	}
	return all[name]
}

// unstable lists the resources that cannot be repaired, or that are changed again each time.
func (all backoffs) unstable() (names []string) {
	for name, b := range all {
		if b.reported || !b.unfixed.IsZero() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// reset lets every resource be repaired at once, and reported again.
func (all backoffs) reset() {
	for _, b := range all {
		b.next, b.unread, b.unfixed, b.reported = time.Time{}, time.Time{}, time.Time{}, false
	}
}

// most bounds the pauses of a resource.
func (t *timings) most(r engine.Resource) time.Duration {
	if r.Traits().Urgent {
		return t.tableMost
	}
	return t.repairMost
}

// failing returns the pause after a failure: as long as the failures have lasted (since, which is set to now if it is zero).
// So the pause doubles with time, however often other events cause a try.
func (t *timings) failing(since *time.Time, now time.Time, most time.Duration) time.Duration {
	if since.IsZero() {
		*since = now
	}
	return min(max(now.Sub(*since), t.repair), most)
}

// wait is how long a resource, whose link has that index now, must not be repaired yet. One that could not be repaired is
// retried at once when its link has come or gone since.
func (b *backoff) wait(link int) time.Duration {
	if b == nil || !b.unfixed.IsZero() && b.linkThen != link {
		return 0
	}
	return time.Until(b.next)
}

// repaired counts a repair and returns the pause after it.
func (b *backoff) repaired(t *timings, r engine.Resource) time.Duration {
	b.unfixed = time.Time{}
	b.count++
	return doubled(t.repair, t.most(r), b.count-tolerated+1)
}

// failed notes that a resource could not be repaired while its link had that index, and returns the pause.
func (b *backoff) failed(t *timings, r engine.Resource, link int, now time.Time) time.Duration {
	if b.linkThen != link {
		b.unfixed, b.linkThen = time.Time{}, link
	}
	return t.failing(&b.unfixed, now, min(t.most(r), t.failedMost))
}
