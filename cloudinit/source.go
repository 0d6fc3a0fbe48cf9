// Package cloudinit is what starts the program: the mape: section, as cloud-init or an administrator leaves it, and the
// systemd units that keep at every boot what cloud-init's runcmd starts once.
package cloudinit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"mape-netplan/reconcile/host"
)

// DefaultPath is the default file of the section, where cloud-init's write_files
// can put it.
const DefaultPath = "/etc/mape-netplan.yaml"

// Section reads the file that has the section: name, in if it is "-", or, if it is "", DefaultPath below root. shown is the
// name for messages. A file below root is found as on the machine that root stands for: no link leads out of it.
func Section(ctx context.Context, name string, in io.Reader, root string) (shown string, data []byte, err error) {
	shown = cmp.Or(name, strings.TrimRight(root, "/")+DefaultPath)
	switch inside, ok := below(shown, root); {
	case name == "-":
		shown = "<stdin>"
		data, err = host.ReadStream(ctx, in)
	case ok:
		data, err = readBelow(root, inside)
	default:
		if data, err = host.ReadNamed(ctx, shown); err == nil {
			if err := followed(shown, root); err != nil {
				return shown, nil, err
			}
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && name == "":
		return shown, nil, fmt.Errorf("there is no %s; write the mape: section into it, or name the file that has it with --config FILE", shown)
	case errors.Is(err, fs.ErrNotExist):
		return shown, nil, fmt.Errorf("there is no %s; name the file that has the mape: section", shown)
	case err != nil:
		return shown, nil, fmt.Errorf("%s: %w", shown, err)
	}
	return shown, data, nil
}

// followed reports why root must not follow a section: its writers decide over the machine's network. In an image the
// owners are the image's, and what the process inherited open has been opened by its caller.
func followed(file, root string) error {
	if root != "" || os.Geteuid() != 0 || host.Inherited(file) {
		return nil
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	return host.OnlyRoots(file, "which root follows", fmt.Sprintf("sudo install -m 600 %s %s", file, DefaultPath))
}

// below is the path of a file on the machine that root stands for.
func below(file, root string) (inside string, ok bool) {
	dir, err := filepath.Abs(root)
	if root == "" || err != nil {
		return "", false
	}
	if file, err = filepath.Abs(file); err != nil {
		return "", false
	}
	inside, ok = strings.CutPrefix(file, strings.TrimRight(dir, "/")+"/")
	return "/" + inside, ok
}

func readBelow(root, file string) ([]byte, error) {
	h, err := host.Open(root)
	if err != nil {
		return nil, err
	}
	defer h.Root.Close()
	return h.ReadFile(file)
}
