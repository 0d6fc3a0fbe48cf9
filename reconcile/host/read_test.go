package host_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/hosttest"
)

// TestReadFile: what is not a regular file of a bounded size is refused at once, as it is or by a link, and so is what a
// link would find outside of the root.
func TestReadFile(t *testing.T) {
	h, dir := hosttest.HostOf(t, "-- etc/file --\ntext\n-- etc/directory/file --\n-- etc/large --\n")
	if err := errors.Join(os.Truncate(dir+"/etc/large", host.MostBytes+1), syscall.Mkfifo(dir+"/etc/fifo", 0o600)); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", dir+"/etc/socket")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	outside := t.TempDir() + "/outside"
	hosttest.WriteFile(t, outside, "secret")
	for name, want := range map[string]string{
		"file": "text\n", "directory": "is a directory; it must be a regular file", "fifo": "is a FIFO; it must be a regular file",
		"socket": "is a socket; it must be a regular file", "large": "is larger than 10 MiB", "missing": "no such file or directory",
		outside: "no such file or directory",
	} {
		for link, prefix := range map[string]string{"": "/etc/", "absolute": "/etc/", "relative": "", "up": strings.Repeat("../", 30) + "etc/"} {
			p := "/etc/" + name
			if strings.HasPrefix(name, "/") {
				p = name
			}
			if link != "" {
				target := prefix + name
				if strings.HasPrefix(name, "/") {
					target = name
				}
				p = "/etc/" + link
				os.Remove(dir + p)
				if err := os.Symlink(target, dir+p); err != nil {
					t.Fatal(err)
				}
			}
			data, err := h.ReadFile(p)
			got := string(data)
			if err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("%s, %s link: %q, want %q", name, link, got, want)
			}
		}
	}
	if _, err := h.ReadFile("/etc/fifo"); !errors.Is(err, host.ErrNotRegular) {
		t.Error(err)
	}
}

// TestReadNamed: the same holds for a file that the command line names, and an inherited pipe is read until ctx ends.
func TestReadNamed(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(syscall.Mkfifo(dir+"/fifo", 0o600), os.Symlink("/dev/zero", dir+"/zero")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"/fifo": "is a FIFO; ", "/zero": "is a device; ", "": "is a directory; "} {
		if _, err := host.ReadNamed(t.Context(), dir+name); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("timed out"))
	if _, err := host.ReadStream(ctx, r); err == nil || err.Error() != "timed out" {
		t.Error(err)
	}
	zero, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer zero.Close()
	if _, err := host.ReadStream(t.Context(), zero); err == nil || err.Error() != "is larger than 10 MiB" {
		t.Error(err)
	}
}

// TestGlob: directories are found like files.
func TestGlob(t *testing.T) {
	h, dir := hosttest.HostOf(t, "-- data/a.yaml --\n-- data/b.yaml --\n-- etc/other --\n")
	if err := os.Symlink("/data", dir+"/etc/netplan"); err != nil {
		t.Fatal(err)
	}
	if all, err := h.Glob("/etc/netplan/*.yaml"); err != nil || strings.Join(all, " ") != "/etc/netplan/a.yaml /etc/netplan/b.yaml" {
		t.Errorf("%q, %v", all, err)
	}
	if all, err := h.ReadDir("/etc/netplan"); err != nil || len(all) != 2 {
		t.Errorf("%v, %v", all, err)
	}
}
