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

	"mape-netplan/reconcile/host"
)

// stopsAt is where netplan's generator says that it stops: file, line and column.
var stopsAt = regexp.MustCompile(`(?m)^(/\S+\.yaml):(\d+):\d+: `)

// TryGenerate has netplan's generator work on a copy of netplan's files, and
// returns where it stops, as "/etc/netplan/a.yaml, line 3": it would stop there
// for ours too. "" is nowhere, or for a reason that is not in a file. Of what it
// prints no more is told, for it quotes the files, which have passwords. Nothing
// is changed but below a directory that is removed again.
func TryGenerate(h *host.Host, ctx context.Context) (where string, err error) {
	i := slices.IndexFunc(Generators, func(g string) bool { _, err := os.Stat(g); return err == nil })
	if i < 0 {
		return "", nil
	}
	dir, err := os.MkdirTemp("", "mape-netplan-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := copyNetplan(h, dir); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, Generators[i], "--root-dir", dir).CombinedOutput()
	if !errors.As(err, new(*exec.ExitError)) {
		return "", err
	}
	if found := stopsAt.FindSubmatch(out); found != nil {
		where = fmt.Sprintf("%s, line %s", strings.TrimPrefix(string(found[1]), dir), found[2])
	}
	return where, nil
}

// copyNetplan copies netplan's files to below a directory.
func copyNetplan(h *host.Host, to string) error {
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
				continue // A link to nowhere.
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(to, p), data, 0o600)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
