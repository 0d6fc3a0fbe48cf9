package watch

import "time"

// A silence is what the tunnel has sent since its far end was heard last.
type silence struct {
	received, sent uint64    // packets, when something was received last
	since          time.Time // when more was sent; zero for not yet
}

// unanswered is how many packets without an answer are evidence: fewer can be one connection to a dead host.
const unanswered = 4

// lasts takes the tunnel's counters and reports whether the far end has been silent for so long, once in each such time.
func (s *silence) lasts(received, sent uint64, now time.Time, long time.Duration) bool {
	switch {
	case received != s.received || sent < s.sent: // A counter below it belongs to a tunnel that was made anew.
		*s = silence{received: received, sent: sent}
	case sent == s.sent:
	case s.since.IsZero():
		s.since = now
	case sent-s.sent >= unanswered && now.Sub(s.since) >= long:
		*s = silence{received: received, sent: sent}
		return true
	}
	return false
}
