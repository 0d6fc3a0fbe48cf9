package hosttest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// A Generator is netplan's generator of one version.
type Generator struct {
	Release string // the Debian that it is of; "" for this machine
	command []string
}

// Run generates from the files below a directory into it. The error has what the generator printed.
func (g Generator) Run(root string) error {
	out, err := exec.Command(g.command[0], append(g.command[1:len(g.command):len(g.command)], "--root-dir", root)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("netplan of %q: %w\n%s", g.Release, err, out)
	}
	return nil
}

// programs are the generator's in the order in which netplan uses them: configure is there from 1.2 on.
var programs = []string{"usr/libexec/netplan/configure", "usr/libexec/netplan/generate"}

// Generators are netplan's generators: this machine's and those of later releases of Debian, which are extracted into
// $MAPE_VM_CACHE, else mape-netplan in the user's cache directory, and run by their own loader.
func Generators(t testing.TB) (all []Generator) {
	t.Helper()
	for _, release := range []string{"", "trixie", "forky"} {
		g, err := generator(release)
		if err != nil {
			Unable(t, fmt.Sprintf("netplan's generator of %q: %v", release, err))
		}
		all = append(all, g)
	}
	return all
}

func generator(release string) (Generator, error) {
	tree, loader := "/", []string(nil)
	if release != "" {
		var err error
		if tree, err = extracted(release); err != nil {
			return Generator{}, err
		}
		found, err := filepath.Glob(filepath.Join(tree, "usr/lib/*/ld-linux*.so.?"))
		if err != nil || len(found) == 0 {
			return Generator{}, fmt.Errorf("%s has no loader", tree)
		}
		loader = []string{found[0], "--library-path", filepath.Dir(found[0])}
	}
	for _, p := range programs {
		if _, err := os.Stat(filepath.Join(tree, p)); err == nil {
			return Generator{release, append(loader, filepath.Join(tree, p))}, nil
		}
	}
	return Generator{}, fs.ErrNotExist
}

// extracted is the tree of a release with netplan's generator and its libraries. Packages that are extracted need no root.
func extracted(release string) (string, error) {
	cache := os.Getenv("MAPE_VM_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(dir, "mape-netplan")
	}
	tree := filepath.Join(cache, "netplan-"+release)
	if _, err := os.Stat(tree); err == nil {
		return tree, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(cache, "extracting-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	// The lists of a mirror that is no longer updated are past their date.
	out, err := exec.Command("mmdebstrap", "--variant=extract", "--include=netplan-generator", "--skip=output/dev",
		"--aptopt=Acquire::Check-Valid-Until \"false\"", "--aptopt=Acquire::Check-Date \"false\"", "--aptopt=Acquire::Languages \"none\"",
		release, filepath.Join(temp, "tree")).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("mmdebstrap: %w\n%s", err, out)
	}
	// Of two that extract at the same time the second finds the tree there, which is as good.
	err = os.Rename(filepath.Join(temp, "tree"), tree)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY) {
		err = nil
	}
	return tree, err
}
