package cloudinit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
		if _, _, err := cloudinit.Section(t.Context(), name, nil, ""); err == nil || !strings.Contains(err.Error(), "is a FIFO; it must be a regular file") {
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
	if _, data, err := cloudinit.Section(t.Context(), name, nil, ""); err != nil || string(data) != "mape: {}\n" {
		t.Errorf("%s: %q, %v", name, data, err)
	}
	r, w, err = os.Pipe() // without a writer that ends it
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{fmt.Sprintf("/dev/fd/%d", r.Fd()), "-"} {
		if _, _, err := cloudinit.Section(ended, name, r, ""); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSectionBelow: the links of an image lead to its own files, never to those of the machine that makes it.
func TestSectionBelow(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()+"/secret"
	for name, text := range map[string]string{root + "/data/gw.yaml": "inside", outside: "outside"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	etc := root + "/etc"
	if err := os.Mkdir(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	up := strings.Repeat("../", 20)
	for target, want := range map[string]string{
		"/data/gw.yaml": "inside", "../data/gw.yaml": "inside", up + "data/gw.yaml": "inside",
		outside: "there is no ", up + outside[1:]: "there is no ",
	} {
		os.Remove(etc + "/mape-netplan.yaml")
		if err := os.Symlink(target, etc+"/mape-netplan.yaml"); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"", etc + "/mape-netplan.yaml"} {
			_, data, err := cloudinit.Section(t.Context(), name, nil, root)
			if got := string(data) + fmt.Sprint(err); !strings.HasPrefix(got, want) {
				t.Errorf("%q to %s: %s, want %s", name, target, got, want)
			}
		}
	}
}

// TestSectionWriters: what others than root could write, or replace by way of a link or a directory, is not followed as
// root. In an image the owners are the image's.
func TestSectionWriters(t *testing.T) {
	needRoot(t)
	for _, test := range []struct{ what, do, want string }{
		{"root's", ":", ""},
		{"readable by all", "chmod 644 a/gw.yaml", ""},
		{"writable by all", "chmod 646 a/gw.yaml", "DIR/a/gw.yaml, which root follows, must be writable only by its owner: sudo chmod go-w DIR/a/gw.yaml"},
		{"writable by its group", "chmod 620 a/gw.yaml", "sudo chmod go-w DIR/a/gw.yaml"},
		{"of another user", "chown 65534 a/gw.yaml", "DIR/a/gw.yaml, which root follows, must belong to root, not to user 65534: sudo chown root:root DIR/a/gw.yaml"},
		{"in a directory that all write", "chmod 777 a", "DIR/a/gw.yaml could be replaced, which root follows: the directory DIR/a must be writable only by its owner; sudo chmod go-w DIR/a"},
		{"in a directory of another user", "chown 65534 a", "the directory DIR/a must belong to root, not to user 65534; sudo install -m 600 DIR/a/gw.yaml /etc/mape-netplan.yaml"},
		{"below such a directory", "chmod 777 .", "the directory DIR must be writable only by its owner"},
		{"in a directory like /tmp", "chmod 1777 a", ""},
		{"another's in a directory like /tmp", "chmod 1777 a; chown 65534 a/gw.yaml", "must belong to root"},
		{"a link to one that all write", "mv a/gw.yaml b; chmod 666 b/gw.yaml; ln -s ../b/gw.yaml a", "DIR/b/gw.yaml, which root follows, must be writable only by its owner"},
		{"a link into a directory that all write", "mv a/gw.yaml b; chmod 777 b; ln -s ../b/gw.yaml a", "the directory DIR/b must be writable only by its owner"},
		{"a link in a directory that all write", "mv a/gw.yaml b; chmod 777 a; ln -s ../b/gw.yaml a", "the directory DIR/a must be writable only by its owner"},
	} {
		t.Run(test.what, func(t *testing.T) {
			dir, err := os.MkdirTemp("/var/lib", "mape-test-")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			shell := exec.Command("sh", "-ec", "chmod 755 .; umask 022; mkdir -p a b etc; echo 'mape: {}' >a/gw.yaml; "+test.do)
			shell.Dir = dir
			if out, err := shell.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			_, data, err := cloudinit.Section(t.Context(), dir+"/a/gw.yaml", nil, "")
			if want := strings.ReplaceAll(test.want, "DIR", dir); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || (err != nil) != (data == nil) {
				t.Errorf("%q, %v, want %q", data, err, want)
			}
			if _, _, err := cloudinit.Section(t.Context(), dir+"/a/gw.yaml", nil, dir); err != nil {
				t.Errorf("of an image: %v", err)
			}
		})
	}
}
