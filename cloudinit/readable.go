package cloudinit

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"mape-netplan/reconcile/host"
)

// readable reports why the units cannot read a section at a path that is visible
// to them. They run as root without CAP_DAC_OVERRIDE, so that file modes apply.
// A missing file is reported when it is read.
func readable(file, root string) error {
	target, passed, err := host.Follow(file, root)
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
		return nil // the owners are those of the image
	}
	s, err := host.Stat(target)
	if err != nil {
		return err
	}
	if !permitted(s, 4) {
		return fmt.Errorf("the units could not read %s: it belongs to user %d, but the units can read only files of root and world-readable ones: sudo chown root:root %s && sudo chmod 600 %s", target, s.Uid, target, target)
	}
	for _, dir := range passed {
		s, err := host.Stat(dir)
		if err != nil {
			return err
		}
		if !permitted(s, 1) {
			return fmt.Errorf("the units could not read %s: the directory %s belongs to user %d and is closed to others; write the section into %s", target, dir, s.Uid, DefaultPath)
		}
	}
	return nil
}

// permitted reports whether root without CAP_DAC_OVERRIDE has rights: 4 to read,
// 1 to search, 5 for both.
func permitted(s *syscall.Stat_t, right uint32) bool {
	switch {
	case s.Uid == 0:
		right <<= 6
	case s.Gid == 0:
		right <<= 3
	}
	return s.Mode&right == right
}

// Unreadable lists the files of netplan and networkd, and their directories, that the units cannot read although root can.
func Unreadable(h *host.Host) (all []string) {
	for _, pattern := range []string{"/etc/netplan", "/etc/netplan/*.yaml", "/run/netplan/*.yaml", "/etc/systemd/network", "/etc/systemd/network/*"} {
		paths, err := h.Glob(pattern)
		if err != nil {
			continue
		}
		for _, p := range paths {
			info, err := h.Root.Stat(host.Local(p))
			if err != nil {
				continue
			}
			right := uint32(4)
			if info.IsDir() {
				right = 5
			}
			if s, ok := info.Sys().(*syscall.Stat_t); ok && !permitted(s, right) {
				all = append(all, p)
			}
		}
	}
	return all
}
