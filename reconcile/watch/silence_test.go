package watch

import (
	"testing"
	"time"
)

// TestSilence goes through the counters of a tunnel.
func TestSilence(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 22, 0, 0, 0, time.UTC)
	s := silence{}
	for i, step := range []struct {
		after          time.Duration
		received, sent uint64
		want           bool
	}{
		{0, 10, 10, false},
		{time.Hour, 10, 10, false},        // Nothing is sent.
		{time.Hour, 10, 99, false},        // It may have been sent just now.
		{29 * time.Second, 10, 99, false}, // not long enough
		{time.Second, 10, 99, true},       // silent
		{time.Hour, 10, 99, false},        // nothing since
		{time.Second, 10, 100, false},     // a packet
		{time.Minute, 10, 102, false},     // too few
		{time.Second, 11, 103, false},     // an answer
		{time.Minute, 11, 104, false},     // and so on
		{time.Minute, 12, 200, false},     //
		{time.Minute, 0, 3, false},        // a new tunnel
		{time.Minute, 0, 4, false},        //
		{30 * time.Second, 0, 7, true},    //
		{30 * time.Second, 0, 9, false},   //
		{30 * time.Second, 0, 10, false},  //
		{30 * time.Second, 0, 11, true},   // still
	} {
		now = now.Add(step.after)
		if got := s.lasts(step.received, step.sent, now, 30*time.Second); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}
