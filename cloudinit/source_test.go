package cloudinit_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"mape-netplan/cloudinit"
)

// TestSectionFIFO: a FIFO without a writer is refused at once; a shell's <(...) is read.
func TestSectionFIFO(t *testing.T) {
	fifo := t.TempDir() + "/gw.yaml"
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	link := t.TempDir() + "/gw.yaml"
	if err := os.Symlink(fifo, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{fifo, link} {
		if _, _, err := cloudinit.Section(name, nil, ""); err == nil || !strings.Contains(err.Error(), "is not a regular file; write the section into one") {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		defer w.Close()
		time.Sleep(50 * time.Millisecond) // It is open and has nothing yet.
		fmt.Fprint(w, "mape: {}\n")
	}()
	name := fmt.Sprintf("/dev/fd/%d", r.Fd())
	if _, data, err := cloudinit.Section(name, nil, ""); err != nil || string(data) != "mape: {}\n" {
		t.Errorf("%s: %q, %v", name, data, err)
	}
	if _, _, err := cloudinit.Section("/dev/null", nil, ""); err != nil {
		t.Error(err)
	}
}
