package resource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
)

// A Unit is what systemd has made of a unit of ours: whether it is active, with
// which program, and by which version of its file.
type Unit struct {
	Unit    string // "mape-netplan.service"
	State   string // systemd's ActiveState; "" is inactive
	Program string // that its main process runs; "" where it has none
	Stale   bool   // its file has changed since systemd read it
}

func (u Unit) Name() string { return "unit " + u.Unit }

func (u Unit) Traits() engine.Traits { return engine.Traits{Daemon: true} }

func (u Unit) Restore(engine.Resource) []engine.Resource { return []engine.Resource{u.Restorable()} }

func (u Unit) Text() string {
	var b strings.Builder
	if u.State != "" {
		b.WriteString(u.State + "\n")
	}
	if u.Program != "" {
		b.WriteString("runs " + u.Program + "\n")
	}
	if u.Stale {
		b.WriteString("its file has changed on disk\n")
	}
	return b.String()
}

func (u Unit) Read(ctx context.Context, h *host.Host) (engine.Resource, error) {
	return u.Live(ctx, h)
}

// Live is Read, as a unit.
func (u Unit) Live(ctx context.Context, h *host.Host) (Unit, error) {
	var live loaded
	err := h.Systemd(ctx, func(conn *dbus.Conn) (err error) {
		live, err = u.read(ctx, h, conn)
		return err
	})
	return live.Unit, err
}

// loaded is a unit with what only matters while it is changed.
type loaded struct {
	Unit
	found bool   // systemd has its file
	busy  bool   // systemd has a job for it
	last  string // how its last start ended, in systemd's words
}

func (u Unit) read(ctx context.Context, h *host.Host, conn *dbus.Conn) (live loaded, err error) {
	live.Unit.Unit = u.Unit
	all, err := conn.GetAllPropertiesContext(ctx, u.Unit)
	if err != nil {
		return live, err
	}
	load, _ := all["LoadState"].(string)
	live.found = load != "not-found"
	switch {
	case load == "masked" && u.State != "":
		return live, masked(u.Unit)
	case load == "error" || load == "bad-setting":
		return live, fmt.Errorf("systemd cannot use its file: see \"systemd-analyze verify %s\"", u.Unit)
	}
	if live.State, _ = all["ActiveState"].(string); live.State == "inactive" {
		live.State = ""
	}
	live.Stale, _ = all["NeedDaemonReload"].(bool)
	if pid, _ := all["MainPID"].(uint32); pid != 0 {
		live.Program, err = u.program(h, "/proc/"+strconv.Itoa(int(pid))+"/exe")
		if errors.Is(err, fs.ErrNotExist) {
			live.Program, err = "", nil // It has ended just now.
		}
	}
	job, _ := all["Job"].([]any) // number and path; the number of none is 0
	live.busy = len(job) > 0 && job[0] != uint32(0)
	live.last, _ = all["Result"].(string)
	return live, err
}

// masked is the error of a unit that the administrator has forbidden to start.
func masked(unit string) error {
	return fmt.Errorf("is masked: to have it run, \"systemctl unmask %s\"", unit)
}

// program is u.Program if exe (/proc/PID/exe) leads to the file that is at that
// path now. Otherwise it is the text of the link, which ends with "(deleted)" if
// the file was replaced.
func (u Unit) program(h *host.Host, exe string) (string, error) {
	runs, err := os.Stat(exe)
	if err != nil {
		return "", err
	}
	if own, err := h.Root.Stat(host.Local(u.Program)); err == nil && os.SameFile(runs, own) {
		return u.Program, nil
	}
	text, err := os.Readlink(exe)
	if text == u.Program {
		text += " (deleted)"
	}
	return text, err
}

// Write starts the unit, starts it again where it runs another program or by
// another file, or stops it.
func (u Unit) Write(ctx context.Context, h *host.Host) error {
	return h.Systemd(ctx, func(conn *dbus.Conn) error {
		live, err := u.read(ctx, h, conn)
		if err != nil {
			return err
		}
		// Only where it is needed, and the unit before may have had it done: it
		// runs every generator, which takes seconds on a slow machine.
		if live.Stale || !live.found && u.State != "" {
			if err := conn.ReloadContext(ctx); err != nil {
				return fmt.Errorf("daemon-reload: %w", err)
			}
		}
		if u.State == "" {
			return u.stop(ctx, h, conn, live.State)
		}
		return u.start(ctx, h, conn)
	})
}

func (u Unit) start(ctx context.Context, h *host.Host, conn *dbus.Conn) error {
	// A start that failed a moment ago counts towards a limit that only this clears.
	_ = conn.ResetFailedUnitContext(ctx, u.Unit)
	if _, err := conn.RestartUnitContext(ctx, u.Unit, "replace", nil); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	live, err := u.settled(ctx, h, conn)
	if err == nil && live.State != "active" {
		err = fmt.Errorf("does not start (%s): see \"journalctl -u %s\"", live.last, u.Unit)
	}
	return err
}

func (u Unit) stop(ctx context.Context, h *host.Host, conn *dbus.Conn, state string) error {
	if state == "" {
		return nil
	}
	if _, err := conn.StopUnitContext(ctx, u.Unit, "replace", nil); err != nil && !isNoSuchUnit(err) {
		return fmt.Errorf("stop: %w", err)
	}
	_, err := u.settled(ctx, h, conn)
	// systemd keeps a failed unit in its list until it is reset.
	_ = conn.ResetFailedUnitContext(ctx, u.Unit)
	return err
}

// settled waits until systemd has done its job for the unit and returns what
// came of it.
func (u Unit) settled(ctx context.Context, h *host.Host, conn *dbus.Conn) (loaded, error) {
	for {
		live, err := u.read(ctx, h, conn)
		if err != nil || !live.busy {
			return live, err
		}
		if err := host.Wait(ctx, host.Settle); err != nil {
			return live, err
		}
	}
}

// Restorable is the unit as it can be brought back: neither an old file in
// systemd's memory nor a program that is deleted can.
func (u Unit) Restorable() Unit {
	u.Stale = false
	u.Program = strings.TrimSuffix(u.Program, " (deleted)")
	if u.State != "active" {
		u.State, u.Program = "", ""
	}
	return u
}

// isNoSuchUnit reports whether systemd has no unit of that name to stop.
func isNoSuchUnit(err error) bool {
	var e godbus.Error
	return errors.As(err, &e) && e.Name == "org.freedesktop.systemd1.NoSuchUnit"
}
