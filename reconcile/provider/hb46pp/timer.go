package hb46pp

import (
	"fmt"
	"time"
)

// An Event is what came of asking a line (section 3.6).
type Event int

const (
	// Offered is a good answer with MAP-E in it.
	Offered Event = iota
	// NotOffered is a good answer without: other methods, or none (order: []).
	NotOffered
	// Absent is that the resolver knows of no record: NXDOMAIN or NODATA.
	Absent
	// Unresolved is any other failure of DNS, and a record that is none.
	Unresolved
	// Silent is no answer of the server, or one that is no good.
	Silent
)

func (e Event) String() string {
	return [...]string{"offered", "not offered", "absent", "unresolved", "silent"}[e]
}

// An Act is what becomes of the tunnel.
type Act int

const (
	// Keep changes nothing: what the last good answer said holds.
	Keep Act = iota
	// Use makes it what the answer says.
	Use
	// Withdraw takes it down.
	Withdraw
)

func (a Act) String() string { return [...]string{"keep", "use", "withdraw"}[a] }

// A Step is what to do after an event, and when to ask again.
type Step struct {
	Act  Act
	Next time.Time
}

const (
	// MostTTL is the longest that an answer may hold (section 3.4, ttl).
	MostTTL = 7 * 24 * time.Hour
	// leastTTL keeps a ttl of seconds from becoming a flood. The specification sets no least; this is its shortest wait.
	leastTTL = time.Minute
)

// Next is section 3.6: the step after an event. ttl is the answer's, negative for none. random is uniform in [0, 1).
//
// An answer that offers nothing that this program can do withdraws: step j makes the CPE what the answer says. The
// section says of the failures of DNS and of the server that one waits, and of no teardown: an outage of theirs is none
// of the tunnel's.
func Next(e Event, ttl time.Duration, now time.Time, random func() float64) Step {
	between := func(least, most time.Duration) time.Time {
		return now.Add(least + time.Duration(random()*float64(most-least)))
	}
	switch e {
	case Offered, NotOffered:
		step := Step{Use, now.Add(max(ttl, leastTTL))}
		if ttl < 0 {
			step.Next = between(20*time.Hour, 24*time.Hour)
		}
		if e == NotOffered {
			step.Act = Withdraw
		}
		return step
	case Absent:
		return Step{Withdraw, between(time.Hour, 3*time.Hour)}
	case Unresolved:
		return Step{Keep, between(time.Minute, 10*time.Minute)}
	case Silent:
		return Step{Keep, between(10*time.Minute, 30*time.Minute)}
	}
	panic(fmt.Sprintf("hb46pp: unknown event %d", e))
}
