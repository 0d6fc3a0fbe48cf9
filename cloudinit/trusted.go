package cloudinit

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// staff is Debian's group for /usr/local. On machines that were installed long
// ago it may write there, and the administrators are in it (Debian Policy 9.1.2).
const staff = 50

// trusted says why root must not run a program at every boot: somebody else may
// write it or, by one of the directories on its path, put another in its place.
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
		return fmt.Errorf("others than its owner may write %s, which root would run at every boot: sudo chmod 755 %s", target, target)
	case s.Uid != 0:
		return fmt.Errorf("%s belongs to user %d and not to root, who would run it at every boot: sudo chown root:root %s", target, s.Uid, target)
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
			return fmt.Errorf("%s could be replaced, which root would run at every boot: the directory %s belongs to user %d and not to root; sudo chown root %s%s", program, dir, s.Uid, dir, elsewhere(program))
		case s.Mode&0o002 != 0 || s.Mode&0o020 != 0 && (listed || s.Gid != 0 && s.Gid != staff):
			return fmt.Errorf("%s could be replaced, which root would run at every boot: others than its owner may write the directory %s; sudo chmod go-w %s%s", program, dir, dir, elsewhere(program))
		}
	}
	return nil
}

// hasACL says whether a file has an access control list (acl(5)). The bits of its
// group are the most then that anybody has whom the list names.
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

// elsewhere is the other thing to do: to install a program where only root may.
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
