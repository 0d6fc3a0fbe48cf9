package symptom

import (
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
func (e *examination) clock() Clock {
	c := Clock{Now: e.o.Now(), Built: e.o.Built}
	if data, err := e.h.Root.ReadFile("sys/class/rtc/rtc0/since_epoch"); err == nil {
		if seconds, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil {
			c.Hardware = time.Unix(seconds, 0).UTC()
		}
	}
	return c
}
