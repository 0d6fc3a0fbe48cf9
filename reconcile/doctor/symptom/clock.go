package symptom

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// A Clock is what the time is, and according to whom.
type Clock struct {
	Now      time.Time `json:"now"`
	Hardware time.Time `json:"hardware,omitzero"`
	Server   time.Time `json:"server,omitzero"` // of the Date of a probed server
	Built    time.Time `json:"built,omitzero"`
}

// clock looks at the time, and at the hardware's.
func (e *examination) clock(context.Context) error {
	c := Clock{Now: e.o.Now(), Built: e.o.Built}
	if data, err := e.h.Root.ReadFile("sys/class/rtc/rtc0/since_epoch"); err == nil {
		if seconds, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil {
			c.Hardware = time.Unix(seconds, 0).UTC()
		}
	}
	e.s.Clock = c
	return nil
}
