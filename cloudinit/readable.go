package cloudinit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// readable says why the units cannot read a section of a path that they see.
// They are root without the right to read what is others' (CAP_DAC_OVERRIDE).
// One that is not there is for whoever reads it to report.
func readable(file, root string) error {
	target, passed, err := follow(file, root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := seen(target); err != nil {
		return fmt.Errorf("the units could not read %s, a link to %s: %w; write the section itself into %s", file, target, err, root+file)
	}
	for _, dir := range passed {
		if err := seen(dir + "/"); err != nil {
			return fmt.Errorf("the units could not read %s, a link to %s by way of %s: %w; write the section itself into %s", file, target, dir, err, root+file)
		}
	}
	if root != "" {
		return nil // Whose it will be is up to who makes the image.
	}
	s, err := stat(target)
	if err != nil {
		return err
	}
	if !permitted(s, 4) {
		return fmt.Errorf("the units could not read %s: it belongs to user %d, and they read what root owns or everybody may read: sudo chown root:root %s && sudo chmod 600 %s", target, s.Uid, target, target)
	}
	for _, dir := range passed {
		s, err := stat(dir)
		if err != nil {
			return err
		}
		if !permitted(s, 1) {
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
// does: absolute ones do not lead out of it. passed are the directories on the
// way to the target, those that links are in among them.
func follow(file, root string) (target string, passed []string, err error) {
	target, rest := "/", strings.Split(file, "/")
	for links := 0; len(rest) > 0; {
		if !slices.Contains(passed, target) {
			passed = append(passed, target)
		}
		next := filepath.Join(target, rest[0])
		rest = rest[1:]
		to, err := os.Readlink(root + next)
		switch {
		case errors.Is(err, syscall.EINVAL): // It is no link.
			target = next
			continue
		case err != nil:
			return "", nil, err
		}
		if links++; links > 40 { // The kernel's own limit.
			return "", nil, &fs.PathError{Op: "open", Path: file, Err: syscall.ELOOP}
		}
		if filepath.IsAbs(to) {
			target = "/"
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	return target, passed, nil
}
