package cloudinit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// usual is where the program is installed.
const usual = "/usr/local/bin/mape-netplan"

// unseen are directories whose programs and files a unit of ours cannot use: it
// sees no home and no /tmp of others, and those of memory are empty at boot.
var unseen = []string{"/home", "/root", "/tmp", "/var/tmp", "/run", "/dev", "/proc", "/sys", "/mnt", "/media"}

// plain is what needs no quoting in a unit file, in which %, $ and blanks mean
// something.
var plain = regexp.MustCompile(`^/[A-Za-z0-9/._+-]+$`)

// Program returns the path by which units run the program whose file is
// executable (os.Executable), or says why they cannot. Below root, a directory
// that stands for a machine, it is the path as that machine sees it.
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
		return program, nil // Whose it will be is up to who makes the image.
	}
	return program, trusted(executable)
}

// Path returns the section's path as the units are to be given it, or says why
// they cannot read it.
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
		dir, err := filepath.Abs(root)
		if err != nil {
			return "", err
		}
		below, ok := strings.CutPrefix(file, dir+"/")
		if !ok {
			return "", fmt.Errorf("%s is not below %s, where the units could read it; write the section into %s", config, root, root+DefaultPath)
		}
		file = "/" + below
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

// visible says why a unit cannot use a path.
func visible(file string) error {
	if err := seen(file); err != nil {
		return err
	}
	if !plain.MatchString(file) {
		return errors.New("its path has characters other than letters, digits and ._+-/")
	}
	return nil
}

// seen says why a unit does not see a path, which may be of any characters.
func seen(file string) error {
	for _, dir := range unseen {
		if strings.HasPrefix(file, dir+"/") {
			return fmt.Errorf("they see nothing below %s, or not at every boot", dir)
		}
	}
	return nil
}
