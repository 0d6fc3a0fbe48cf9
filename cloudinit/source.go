// Package cloudinit is what starts the program: the mape: section, as cloud-init or an administrator leaves it, and the
// systemd units that keep at every boot what cloud-init's runcmd starts once.
package cloudinit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"mape-netplan/reconcile/host"
)

// DefaultPath is the default file of the section, where cloud-init's write_files
// can put it.
const DefaultPath = "/etc/mape-netplan.yaml"

// maxSize bounds the file of a section, in bytes.
const maxSize = 10 << 20

// Section reads the file that has the section: name, in if it is "-", or, if it
// is "", DefaultPath below root. shown is the name for messages.
func Section(name string, in io.Reader, root string) (shown string, data []byte, err error) {
	switch name {
	case "-":
		shown = "<stdin>"
	case "":
		shown = strings.TrimRight(root, "/") + DefaultPath
	default:
		shown = name
	}
	if name != "-" {
		f, err := open(shown)
		switch {
		case errors.Is(err, fs.ErrNotExist) && name == "":
			return shown, nil, fmt.Errorf("there is no %s; write the mape: section into it, or name the file that has it with --config FILE", shown)
		case errors.Is(err, fs.ErrNotExist):
			return shown, nil, fmt.Errorf("there is no %s; name the file that has the mape: section", shown)
		}
		if err != nil {
			return shown, nil, err
		}
		defer f.Close()
		if err := followed(shown, root); err != nil {
			return shown, nil, err
		}
		in = f
	}
	data, err = io.ReadAll(io.LimitReader(in, maxSize+1))
	if err == nil && len(data) > maxSize {
		err = errors.New("has more than 10 MiB, too much for a section")
	}
	if err != nil {
		return shown, nil, fmt.Errorf("%s: %w", shown, err)
	}
	return shown, data, nil
}

// followed reports why root must not follow a section: who can write it has a machine's network in hand. In an image the
// owners are the image's, and what the process inherited open has been opened by who called it.
func followed(file, root string) error {
	if root != "" || os.Geteuid() != 0 || inherited(file) {
		return nil
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	return host.OnlyRoots(file, "which root follows", "")
}

// inherited reports whether a path is one of a file that the process inherited open, such as a shell's <(...).
func inherited(name string) bool {
	return strings.HasPrefix(name, "/dev/") || strings.HasPrefix(name, "/proc/")
}

// open opens a section's file. A FIFO is refused: without a writer the boot would
// wait for it. What the process inherited open is read whatever it is.
func open(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil || inherited(name) {
		return f, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = fmt.Errorf("%s is a directory; name the file in it that has the mape: section", name)
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not a regular file; write the section into one, or give it on stdin with --config -", name)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
