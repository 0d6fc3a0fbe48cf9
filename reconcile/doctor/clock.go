package doctor

import (
	"fmt"
	"time"
)

// newestRule is when the built-in rules were collected. An earlier time is wrong.
var newestRule = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)

const (
	// clockError is how far two clocks may differ: certificates are issued an hour or a day before they are used.
	clockError = 12 * time.Hour
	// farFuture is the longest that a build is in use.
	farFuture = 20 * 365 * 24 * time.Hour
)

// clock: would valid certificates look valid?
func (d *diagnosis) clock() Finding {
	k := d.s.Clock
	const advice = `Run "sudo timedatectl set-ntp true", which needs systemd-timesyncd or chrony, or set the time once with "sudo timedatectl set-time".`
	wrong := func(why string) Finding {
		return bad(k.Now.UTC().Format(time.DateTime)+" UTC", fmt.Sprintf("The clock is wrong (%s UTC%s), and so every TLS certificate looks invalid.", k.Now.UTC().Format(time.DateTime), why), advice)
	}
	oldest := newestRule
	if k.Built.After(oldest) {
		oldest = k.Built
	}
	switch {
	case k.Now.Before(oldest.Add(-24 * time.Hour)):
		return wrong(", before this program was built")
	case k.Now.After(oldest.Add(farFuture)):
		return wrong(", decades after this program was built")
	case !k.Server.IsZero() && k.Now.Sub(k.Server).Abs() > clockError:
		return wrong(fmt.Sprintf("; a server on the internet says %s", k.Server.UTC().Format(time.DateTime)))
	case !k.Hardware.IsZero() && k.Now.Sub(k.Hardware).Abs() > clockError:
		return warning(fmt.Sprintf("%s UTC, the hardware clock says %s", k.Now.UTC().Format(time.DateTime), k.Hardware.Format(time.DateTime)),
			"The clock and the machine's hardware clock differ by more than half a day: one of them is wrong.", advice)
	}
	return good("%s UTC", k.Now.UTC().Format(time.DateTime))
}
