package hb46pp

import (
	"fmt"
	"time"
)

// An Event is the outcome of a query (section 3.6).
type Event int

const (
	// Offered is a valid answer with a method that is supported.
	Offered Event = iota
	// NotOffered is a valid answer without one: other methods, or none (order: []).
	NotOffered
	// Absent is that the resolver has no record: NXDOMAIN or NODATA.
	Absent
	// Unresolved is any other failure of DNS, and an invalid record.
	Unresolved
	// NoValidAnswer is that the server did not answer, or not validly.
	NoValidAnswer
)

func (e Event) String() string {
	return [...]string{"offered", "not offered", "absent", "unresolved", "no valid answer"}[e]
}

// An Act is what to do with the tunnel.
type Act int

const (
	// Keep changes nothing: the last valid answer stays in force.
	Keep Act = iota
	// Use applies the answer.
	Use
	// Withdraw takes it down.
	Withdraw
)

// A Step is what to do after an event, and when to query again.
type Step struct {
	Act  Act
	Next time.Time
}

const (
	// MostTTL is the longest lifetime of an answer (section 3.4, ttl).
	MostTTL = 7 * 24 * time.Hour
	// leastTTL keeps a ttl of seconds from becoming a flood. The specification has no minimum; this is its shortest wait.
	leastTTL = time.Minute
)

// Next is the step after an event (section 3.6). ttl is that of the answer, negative for none. random is uniform in
// [0, 1).
//
// An answer without a supported method withdraws the tunnel: step j applies the answer, whatever it offers. After a failure of DNS or
// of the server the section only demands a wait: their outage does not affect the tunnel.
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
	case NoValidAnswer:
		return Step{Keep, between(10*time.Minute, 30*time.Minute)}
	}
	panic(fmt.Sprintf("hb46pp: unknown event %d", e))
}
