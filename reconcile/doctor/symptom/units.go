package symptom

import (
	"context"

	"mape-netplan/cloudinit"
)

// units reads the state of those that install writes, and why systemd could not start them, "" if it could.
func (e *examination) units(ctx context.Context) (states []cloudinit.State, noSystemd string, err error) {
	states, err = cloudinit.States(ctx, e.h)
	switch {
	case !e.h.Booted():
		noSystemd = "systemd does not run this machine"
	case err != nil:
		noSystemd = err.Error()
	}
	return states, noSystemd, err
}
