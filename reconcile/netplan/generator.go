package netplan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"mape-netplan/reconcile/host"
)

// NetworkManager is netplan's other renderer. It supports neither the lifetime
// of an address nor drop-ins, and so not our tunnel.
const NetworkManager = "NetworkManager"

// Generators are where Debian and Ubuntu install netplan's generator; the first
// one there is is run. It is written in C and twenty times as fast as "netplan
// generate" in Python. From netplan 1.2 on, configure writes networkd's files,
// and generate aborts unless systemd runs it.
var Generators = []string{"/usr/libexec/netplan/configure", "/usr/libexec/netplan/generate", "/usr/lib/netplan/generate"}

const command = "/usr/sbin/netplan"

// Installed reports whether the machine has netplan. A directory that stands
// for a machine and has neither netplan nor networkd yet counts as having it.
func Installed(h *host.Host) bool {
	for _, p := range append(Generators, command) {
		if _, err := h.Root.Stat(host.Local(p)); err == nil {
			return true
		}
	}
	_, err := h.Root.Stat("usr/lib/systemd/systemd-networkd")
	return !h.Live() && err != nil
}

// Generate runs netplan's generator, which writes networkd's files.
func Generate(h *host.Host, ctx context.Context) error {
	for _, g := range append(Generators, command) {
		if _, err := os.Stat(g); err != nil {
			continue
		}
		args := []string{}
		if g == command {
			args = append(args, "generate")
		}
		cmd := exec.CommandContext(ctx, g, args...)
		cmd.WaitDelay = time.Second // a child may keep the pipe open
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", g, err, out)
		}
		return nil
	}
	return errors.New("netplan's generator is not installed")
}

// position is where netplan's generator stops: file, line and column.
var position = regexp.MustCompile(`(?m)^(/\S+\.yaml):(\d+):\d+: `)

// DryRun runs netplan's generator on a copy of netplan's files, below a
// temporary directory. where is the position at which it stops, as
// "/etc/netplan/a.yaml, line 3"; "" if it does not, or not because of a file.
// The rest of its output is discarded, because it quotes the files.
func DryRun(h *host.Host, ctx context.Context) (where string, err error) {
	i := slices.IndexFunc(Generators, func(g string) bool { _, err := os.Stat(g); return err == nil })
	if i < 0 {
		return "", nil
	}
	dir, err := os.MkdirTemp("", "mape-netplan-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := copyFiles(h, dir); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, Generators[i], "--root-dir", dir).CombinedOutput()
	if !errors.As(err, new(*exec.ExitError)) {
		return "", err
	}
	if found := position.FindSubmatch(out); found != nil {
		where = fmt.Sprintf("%s, line %s", strings.TrimPrefix(string(found[1]), dir), found[2])
	}
	return where, nil
}

// copyFiles copies netplan's files below a directory.
func copyFiles(h *host.Host, to string) error {
	for _, dir := range Dirs {
		paths, err := h.Glob(dir + "/*.yaml")
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(to, dir), 0o700); err != nil {
			return err
		}
		for _, p := range paths {
			data, err := h.ReadFile(p)
			if errors.Is(err, os.ErrNotExist) {
				continue // a dangling symbolic link
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(to, p), data, 0o600)
			}
			if err != nil {
				return host.FileError{Path: p, Err: err}
			}
		}
	}
	return nil
}
