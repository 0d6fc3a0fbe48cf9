package netplan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"mape-netplan/reconcile/host"
)

// NetworkManager is netplan's other renderer. It takes neither the lifetime of
// an address nor the drop-ins that are networkd's, and so no tunnel of ours.
const NetworkManager = "NetworkManager"

// Generators are where Debian and Ubuntu put netplan's generator in C: twenty
// times as fast as "netplan generate", which is Python.
var Generators = []string{"/usr/libexec/netplan/generate", "/usr/lib/netplan/generate"}

// Generate runs netplan's generator, which writes networkd's files.
func Generate(h *host.Host, ctx context.Context) error {
	for _, g := range append(Generators, "/usr/sbin/netplan") {
		if _, err := os.Stat(g); err != nil {
			continue
		}
		args := []string{}
		if g == "/usr/sbin/netplan" {
			args = append(args, "generate")
		}
		cmd := exec.CommandContext(ctx, g, args...)
		cmd.WaitDelay = time.Second // A child of it may hold the pipe.
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", g, err, out)
		}
		return nil
	}
	return errors.New("netplan's generator is not on this machine")
}

// Installed is true as well for a directory that stands for a machine
// and has neither netplan nor networkd in it yet.
func Installed(h *host.Host) bool {
	for _, p := range append(Generators, command) {
		if _, err := h.Root.Stat(host.Local(p)); err == nil {
			return true
		}
	}
	_, err := h.Root.Stat("usr/lib/systemd/systemd-networkd")
	return !h.Live() && err != nil
}

const (
	command = "/usr/sbin/netplan"
)
