package watch

import "time"

// A pace is how long a watch waits. Tests have shorter pauses than [defaultPace].
type pace struct {
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

var defaultPace = pace{
	settle: 50 * time.Millisecond, settleMost: 600 * time.Millisecond,
	unrelated: time.Second, unrelatedMost: 10 * time.Second,
	table: 100 * time.Millisecond,

	poll:       500 * time.Millisecond,
	lock:       200 * time.Millisecond,
	unreadable: 5 * time.Second,
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
