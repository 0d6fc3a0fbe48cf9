package symptom

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// A Clock is the time by several clocks.
type Clock struct {
	Now      time.Time `json:"now"`
	Hardware time.Time `json:"hardware,omitzero"`
	Server   time.Time `json:"server,omitzero"` // from the Date header of a probed server
	Built    time.Time `json:"built,omitzero"`  // when the program was
}

// clock reads the system's clock and the hardware's.
func (g *gatherer) clock(_ context.Context, s *Symptoms) error {
	s.Clock = Clock{Now: g.o.Now(), Built: g.o.Built}
	if data, err := g.h.Root.ReadFile("sys/class/rtc/rtc0/since_epoch"); err == nil {
		if seconds, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil {
			s.Clock.Hardware = time.Unix(seconds, 0).UTC()
		}
	}
	return nil
}
