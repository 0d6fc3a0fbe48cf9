package cloudinit

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// staff is Debian's group for /usr/local. On old installations it can write there,
// and its members are administrators (Debian Policy 9.1.2).
const staff = 50

// trusted reports why root must not run a program at every boot: another user can
// write it or, through a directory on its path, replace it.
func trusted(program string) error {
	target, passed, err := follow(program, "")
	if err != nil {
		return err
	}
	s, err := stat(target)
	switch {
	case err != nil:
		return err
	case s.Mode&0o022 != 0:
		return fmt.Errorf("%s, which root would run at every boot, must be writable only by its owner: sudo chmod 755 %s", target, target)
	case s.Uid != 0:
		return fmt.Errorf("%s must belong to root, who would run it at every boot, not to user %d: sudo chown root:root %s", target, s.Uid, target)
	}
	for _, dir := range passed {
		s, err := stat(dir)
		if err != nil {
			return err
		}
		listed, err := hasACL(dir)
		switch {
		case err != nil:
			return err
		case s.Uid != 0:
			return fmt.Errorf("%s could be replaced, which root would run at every boot: the directory %s must belong to root, not to user %d; sudo chown root %s%s", program, dir, s.Uid, dir, elsewhere(program))
		case s.Mode&0o002 != 0 || s.Mode&0o020 != 0 && (listed || s.Gid != 0 && s.Gid != staff):
			return fmt.Errorf("%s could be replaced, which root would run at every boot: the directory %s must be writable only by its owner; sudo chmod go-w %s%s", program, dir, dir, elsewhere(program))
		}
	}
	return nil
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

// elsewhere is the alternative: to install the program where only root can write.
func elsewhere(program string) string {
	if program == usual {
		return ""
	}
	return fmt.Sprintf(", or install it elsewhere: sudo install -m 755 %s %s, and run that", program, usual)
}

func stat(name string) (*syscall.Stat_t, error) {
	var s syscall.Stat_t
	if err := syscall.Stat(name, &s); err != nil {
		return nil, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	return &s, nil
}
