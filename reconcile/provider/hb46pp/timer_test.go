package hb46pp

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestNext is section 3.6 with the ends of every jitter.
func TestNext(t *testing.T) {
	now := time.Date(2026, 11, 24, 22, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, test := range []struct {
		event       Event
		ttl         time.Duration
		act         Act
		least, most time.Duration
	}{
		{Offered, 86400 * time.Second, Use, day, day},
		{Offered, MostTTL, Use, 7 * day, 7 * day},
		{Offered, 0, Use, time.Minute, time.Minute},
		{Offered, 5 * time.Second, Use, time.Minute, time.Minute},
		{Offered, -1, Use, 20 * time.Hour, day},
		{NotOffered, time.Hour, Withdraw, time.Hour, time.Hour},
		{NotOffered, -1, Withdraw, 20 * time.Hour, day},
		{Absent, -1, Withdraw, time.Hour, 3 * time.Hour},
		{Unresolved, -1, Keep, time.Minute, 10 * time.Minute},
		{NoValidAnswer, -1, Keep, 10 * time.Minute, 30 * time.Minute},
		{NoValidAnswer, time.Hour, Keep, 10 * time.Minute, 30 * time.Minute}, // a failure has no ttl
	} {
		for random, want := range map[float64]time.Duration{0: test.least, 0.5: (test.least + test.most) / 2, 1: test.most} {
			step := Next(test.event, test.ttl, now, func() float64 { return random })
			if step.Act != test.act || step.Next.Sub(now) != want {
				t.Errorf("%v, ttl %v, random %v: %v in %v, want %v in %v", test.event, test.ttl, random, step.Act, step.Next.Sub(now), test.act, want)
			}
		}
	}
}

// TestNextJitter: lines that fail together do not come back together.
func TestNextJitter(t *testing.T) {
	now := time.Date(2026, 11, 24, 22, 0, 0, 0, time.UTC)
	random := rand.New(rand.NewPCG(4, 6)).Float64
	for _, event := range []Event{Absent, Unresolved, NoValidAnswer} {
		seen := map[time.Time]bool{}
		for range 1000 {
			seen[Next(event, -1, now, random).Next] = true
		}
		if len(seen) < 990 {
			t.Errorf("%v: %d different times of 1000", event, len(seen))
		}
	}
}
