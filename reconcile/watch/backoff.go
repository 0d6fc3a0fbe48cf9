package watch

import (
	"slices"
	"time"

	"mape-netplan/reconcile/engine"
)

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
func (p *pace) most(r engine.Resource) time.Duration {
	if r.Traits().Urgent {
		return p.tableMost
	}
	return p.repairMost
}

// failing is the pause after a failure of something that has failed since then: as long again. So it doubles with time,
// however often it is tried. A zero since is set to now.
func (p *pace) failing(since *time.Time, now time.Time, most time.Duration) time.Duration {
	if since.IsZero() {
		*since = now
	}
	return min(max(now.Sub(*since), p.repair), most)
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
func (b *backoff) repaired(p *pace, r engine.Resource) time.Duration {
	b.unfixed = time.Time{}
	b.count++
	return doubled(p.repair, p.most(r), b.count-tolerated+1)
}

// failed notes that a resource could not be repaired while its link had that index, and returns the pause.
func (b *backoff) failed(p *pace, r engine.Resource, link int, now time.Time) time.Duration {
	if b.linkThen != link {
		b.unfixed, b.linkThen = time.Time{}, link
	}
	return p.failing(&b.unfixed, now, min(p.most(r), p.failedMost))
}
