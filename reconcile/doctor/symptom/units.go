package symptom

import (
	"context"

	"mape-netplan/cloudinit"
)

// units looks at those that install makes, and whether systemd could start them.
func (e *examination) units(ctx context.Context) (err error) {
	e.s.Units, err = cloudinit.States(ctx, e.h)
	switch {
	case !e.h.Booted():
		e.s.NoSystemd = "systemd does not run this machine"
	case err != nil:
		e.s.NoSystemd = err.Error()
	}
	return err
}
