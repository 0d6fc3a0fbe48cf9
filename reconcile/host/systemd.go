package host

import (
	"context"
	"fmt"
	"os"

	"github.com/coreos/go-systemd/v22/dbus"
)

// Systemd calls f with a connection to the service manager: for root the private
// one, which works before D-Bus is up, for others D-Bus.
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
		err = context.Cause(ctx) // rather than that the connection is closed
	}
	return err
}

// Booted reports whether systemd runs this machine (sd_booted), so that its units
// can be started, not only written.
func (h *Host) Booted() bool {
	_, err := h.Root.Lstat("run/systemd/system")
	return h.Live() && err == nil
}
