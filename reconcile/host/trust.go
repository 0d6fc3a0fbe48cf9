package host

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// staff is Debian's group for /usr/local. On old installations it can write there,
// and its members are administrators (Debian Policy 9.1.2).
const staff = 50

// OnlyRoots reports why root must not rely on a file: another user can write it or, through a directory on its path,
// replace it. use is what root does with it: "which root would run at every boot". instead is what to do where a directory
// is at fault, which may be a home; "" if its owner and mode can be changed.
func OnlyRoots(file, use, instead string) error {
	target, passed, err := Follow(file, "")
	if err != nil {
		return err
	}
	s, err := Stat(target)
	switch {
	case err != nil:
		return err
	case s.Mode&0o022 != 0:
		return fmt.Errorf("%s, %s, must be writable only by its owner: sudo chmod go-w %s", target, use, target)
	case s.Uid != 0:
		return fmt.Errorf("%s, %s, must belong to root, not to user %d: sudo chown root:root %s", target, use, s.Uid, target)
	}
	for _, dir := range passed {
		s, err := Stat(dir)
		if err != nil {
			return err
		}
		listed, err := hasACL(dir)
		writable := s.Mode&0o002 != 0 || s.Mode&0o020 != 0 && (listed || s.Gid != 0 && s.Gid != staff)
		switch {
		case err != nil:
			return err
		case s.Uid != 0:
			return fmt.Errorf("%s could be replaced, %s: the directory %s must belong to root, not to user %d; %s", file, use, dir, s.Uid, cmp.Or(instead, "sudo chown root "+dir))
		case writable && s.Mode&syscall.S_ISVTX == 0: // In /tmp other users cannot replace what is root's.
			return fmt.Errorf("%s could be replaced, %s: the directory %s must be writable only by its owner; %s", file, use, dir, either("sudo chmod go-w "+dir, instead))
		}
	}
	return nil
}

func either(do, instead string) string {
	if instead == "" {
		return do
	}
	return do + ", or " + instead
}

// hasACL reports whether a file has an access control list (acl(5)). Its group
// bits are then the mask of all users that the list names.
func hasACL(name string) (bool, error) {
	_, err := syscall.Getxattr(name, "system.posix_acl_access", nil)
	switch {
	case errors.Is(err, syscall.ENODATA), errors.Is(err, syscall.EOPNOTSUPP):
		return false, nil
	case err != nil:
		return false, &os.PathError{Op: "getxattr", Path: name, Err: err}
	}
	return true, nil
}

// Follow resolves the symbolic links of a path like a machine with that root
// directory: absolute ones stay below it. passed are all directories on the way
// to the target, including those of the links.
func Follow(file, root string) (target string, passed []string, err error) {
	target, rest := "/", strings.Split(file, "/")
	for links := 0; len(rest) > 0; {
		if !slices.Contains(passed, target) {
			passed = append(passed, target)
		}
		next := filepath.Join(target, rest[0])
		rest = rest[1:]
		to, err := os.Readlink(root + next)
		switch {
		case errors.Is(err, syscall.EINVAL): // not a link
			target = next
			continue
		case err != nil:
			return "", nil, err
		}
		if links++; links > 40 { // the kernel's limit
			return "", nil, &fs.PathError{Op: "open", Path: file, Err: syscall.ELOOP}
		}
		if filepath.IsAbs(to) {
			target = "/"
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	return target, passed, nil
}

// Stat is the file that a path leads to.
func Stat(name string) (*syscall.Stat_t, error) {
	var s syscall.Stat_t
	if err := syscall.Stat(name, &s); err != nil {
		return nil, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	return &s, nil
}
