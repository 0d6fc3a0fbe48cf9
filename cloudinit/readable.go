package cloudinit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// readable says why the units cannot read a section of a path that they see.
// They are root without the right to read what is others' (CAP_DAC_OVERRIDE).
// One that is not there is for whoever reads it to report.
func readable(file, root string) error {
	target, err := follow(file, root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := seen(target); err != nil {
		return fmt.Errorf("the units could not read %s, a link to %s: %w; write the section itself into %s", file, target, err, root+file)
	}
	if root != "" {
		return nil // Whose it will be is up to who makes the image.
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && !permitted(s, 4) {
		return fmt.Errorf("the units could not read %s: it belongs to user %d, and they read what root owns or everybody may read: sudo chown root:root %s && sudo chmod 600 %s", target, s.Uid, target, target)
	}
	for dir := filepath.Dir(target); dir != "/"; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok && !permitted(s, 1) {
			return fmt.Errorf("the units could not read %s: the directory %s belongs to user %d, who keeps others out; write the section into %s", target, dir, s.Uid, DefaultPath)
		}
	}
	return nil
}

// permitted says whether root may without privileges: 4 is to read, 1 to search.
func permitted(s *syscall.Stat_t, right uint32) bool {
	switch {
	case s.Uid == 0:
		return s.Mode&(right<<6) != 0
	case s.Gid == 0:
		return s.Mode&(right<<3) != 0
	}
	return s.Mode&right != 0
}

// follow resolves the links of a path as a machine whose root directory is root
// does: absolute ones do not lead out of it.
func follow(file, root string) (string, error) {
	done, rest := "/", strings.Split(file, "/")
	for links := 0; len(rest) > 0; {
		next := filepath.Join(done, rest[0])
		rest = rest[1:]
		target, err := os.Readlink(root + next)
		switch {
		case errors.Is(err, syscall.EINVAL): // It is no link.
			done = next
			continue
		case err != nil:
			return "", err
		}
		if links++; links > 40 { // The kernel's own limit.
			return "", &fs.PathError{Op: "open", Path: file, Err: syscall.ELOOP}
		}
		if filepath.IsAbs(target) {
			done = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return done, nil
}
