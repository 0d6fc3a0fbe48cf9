// Package cloudinit knows where a machine's mape: section comes from and what
// makes the program run at every boot.
package cloudinit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// DefaultPath is where the section is when nobody says otherwise: cloud-init's
// write_files puts it there.
const DefaultPath = "/etc/mape-netplan.yaml"

// maxSize bounds what is read as a section, in bytes: more is the wrong file.
const maxSize = 10 << 20

// Section reads the file that holds the section: the one named, "-" for in, or
// where name is "" the default one below root.
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
		in = f
	}
	data, err = io.ReadAll(io.LimitReader(in, maxSize+1))
	if err == nil && len(data) > maxSize {
		err = errors.New("is larger than 10 MiB, which no section is")
	}
	if err != nil {
		return shown, nil, fmt.Errorf("%s: %w", shown, err)
	}
	return shown, data, nil
}

// open opens a section's file. A FIFO is refused: nobody may ever write to it,
// and at boot everything would wait. What the process was given as open, a
// shell's <(...), is below /dev and is read whatever it is.
func open(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil || strings.HasPrefix(name, "/dev/") || strings.HasPrefix(name, "/proc/") {
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
