package cloudinit

import (
	"errors"
	"fmt"
	"io/fs"
	"mape-netplan/reconcile/host"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// usual is where the program is installed usually.
const usual = "/usr/local/bin/mape-netplan"

// unseen are directories whose files our units cannot use: they have no access to
// homes and a private /tmp, and file systems in memory are empty at boot.
var unseen = []string{"/home", "/root", "/tmp", "/var/tmp", "/run", "/dev", "/proc", "/sys", "/mnt", "/media"}

// plain matches a path that needs no quoting in a unit file, where %, $ and blanks
// are special.
var plain = regexp.MustCompile(`^/[A-Za-z0-9/._+-]+$`)

// Program returns the path by which the units run the program whose file is
// executable (os.Executable), or an error if they cannot. Below root, a directory
// that stands for a machine, it is the path on that machine.
func Program(executable, root string) (string, error) {
	program := executable
	if root != "" {
		program = usual
		dir, err := filepath.EvalSymlinks(root)
		if err != nil {
			return "", err
		}
		if dir, err = filepath.Abs(dir); err != nil {
			return "", err
		}
		if below, ok := strings.CutPrefix(executable, dir+"/"); ok {
			program = "/" + below
		}
		executable = dir + program
	}
	if err := visible(program); err != nil {
		return "", fmt.Errorf("the units could not run %s: %w; install it first: sudo install -m 755 %s %s, and run that", program, err, executable, usual)
	}
	if _, err := os.Stat(executable); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no %s for the units to run; put the program there first", executable)
	} else if err != nil {
		return "", err
	}
	if root != "" {
		return program, nil // the owners are those of the image
	}
	return program, host.OnlyRoots(executable, "which root would run at every boot", elsewhere(executable))
}

// Path returns the section's path for the command line of the units, "" for the
// default, or an error if they cannot read it.
func Path(config, root string) (string, error) {
	if config == "" {
		return "", readable(DefaultPath, root)
	}
	if config == "-" {
		return "", fmt.Errorf("the units cannot read a section from stdin; write it into %s", root+DefaultPath)
	}
	file, err := filepath.Abs(config)
	if err != nil {
		return "", err
	}
	if root != "" {
		var ok bool
		if file, ok = below(config, root); !ok {
			return "", fmt.Errorf("%s is not below %s, where the units could read it; write the section into %s", config, root, root+DefaultPath)
		}
	}
	if err := visible(file); err != nil {
		return "", fmt.Errorf("the units could not read %s: %w; write the section into %s", file, err, DefaultPath)
	}
	if err := readable(file, root); err != nil {
		return "", err
	}
	if file == DefaultPath {
		return "", nil
	}
	return file, nil
}

// visible reports why a unit cannot use a path.
func visible(file string) error {
	if err := seen(file); err != nil {
		return err
	}
	if !plain.MatchString(file) {
		return errors.New("its path must have only letters, digits and ._+-/")
	}
	return nil
}

// seen reports why a unit has no access to a path.
func seen(file string) error {
	for _, dir := range unseen {
		if strings.HasPrefix(file, dir+"/") {
			return fmt.Errorf("%s is not available to them, or not at every boot", dir)
		}
	}
	return nil
}

// elsewhere is the alternative: to install the program where only root can write.
func elsewhere(program string) string {
	if program == usual {
		return ""
	}
	return fmt.Sprintf("install it elsewhere: sudo install -m 755 %s %s, and run that", program, usual)
}
