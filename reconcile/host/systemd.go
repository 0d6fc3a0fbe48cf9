package host

import (
	"context"
	"fmt"
	"os"

	"github.com/coreos/go-systemd/v22/dbus"
)

// Systemd has f talk to the service manager: root directly, which works before
// D-Bus is up, everybody else over D-Bus.
func (h *Host) Systemd(ctx context.Context, f func(*dbus.Conn) error) error {
	connect := dbus.NewSystemConnectionContext
	if os.Geteuid() == 0 {
		connect = dbus.NewSystemdConnectionContext
	}
	conn, err := connect(ctx)
	if err != nil {
		return fmt.Errorf("systemd does not answer: %w", err)
	}
	defer conn.Close()
	if err = f(conn); err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // Not what a connection that is closed says.
	}
	return err
}

// Booted says whether systemd runs this machine (sd_booted), so that its units
// can be started and not only be put in place.
func (h *Host) Booted() bool {
	_, err := h.Root.Lstat("run/systemd/system")
	return h.Live() && err == nil
}
