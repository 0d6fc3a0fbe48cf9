package gateway

import (
	"errors"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/line"
	"mape-netplan/schema"
)

// An Aim is what a section makes of a machine as it is now. Commands and the service take it from [Resolve] alike, so
// that plan and status say what the service does.
type Aim struct {
	// Line is the line as far as it could be found.
	Line line.Line
	// Gateway is what the machine is to be; nil for none. With Err it is the gateway of the last line, which is held while
	// the line is not there.
	Gateway *Gateway
	// Err is why the section makes no gateway of the line: of type schema.Problems where the section is to be changed,
	// ErrNotYet where it may pass, ErrWithdrawn where the tunnel is to go.
	Err error
}

// Held reports whether the gateway is that of the last line.
func (a Aim) Held() bool { return a.Err != nil && a.Gateway != nil }

// Resolve finds the line of a section, once, and fits it to the machine.
func Resolve(c *schema.Config, f facts.Facts) Aim {
	line, err := line.Find(c, f)
	return ResolveLine(c, f, line, err)
}

// ResolveLine is Resolve for a line that Find has found, with its error.
func ResolveLine(c *schema.Config, f facts.Facts, found line.Line, err error) Aim {
	// It needs no line, and waiting for one would not mend it.
	if wrong := checkRenderer(c, found, f); wrong != nil {
		return Aim{Line: found, Err: wrong}
	}
	if err == nil {
		g, err := Fit(c, found, f)
		return Aim{found, g, err}
	}
	aim := Aim{Line: found, Err: err}
	if errors.Is(err, line.ErrNotYet) && !errors.Is(err, discovery.ErrWithdrawn) {
		if last, known, e := Recall(c, f); known && e == nil {
			if g, e := Fit(c, last, f); e == nil {
				aim.Gateway = g
			}
		}
	}
	return aim
}
