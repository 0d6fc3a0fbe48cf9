package nft

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// freshNS returns a new network namespace and a function that runs nft(8) in it.
func freshNS(t testing.TB) (*Conn, func(args ...string) string) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("MAPE_CI") == "1" {
			t.Fatal("needs root to make network namespaces")
		}
		t.Skip("needs root to make network namespaces")
	}
	files := make(chan *os.File)
	go func() {
		// Never unlocked: the thread ends with the goroutine, the namespace lives on in its descriptor.
		runtime.LockOSThread()
		if unix.Unshare(unix.CLONE_NEWNET) != nil {
			close(files)
			return
		}
		f, _ := os.Open("/proc/thread-self/ns/net")
		files <- f
	}()
	f := <-files
	if f == nil {
		t.Fatal("cannot make a network namespace")
	}
	t.Cleanup(func() { f.Close() })
	return OpenNS(int(f.Fd())), func(args ...string) string {
		t.Helper()
		cmd := exec.Command("nsenter", append([]string{"--net=/proc/self/fd/3", "nft"}, args...)...)
		cmd.ExtraFiles = []*os.File{f}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("nft %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
}

// TestPermission: who may not look gets an error that says so.
func TestPermission(t *testing.T) {
	freshNS(t) // skips
	errs := make(chan error, 2)
	go func() {
		// Never unlocked: the thread, which alone loses its privilege, ends with the goroutine.
		runtime.LockOSThread()
		c, _ := Open()
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			errs <- errno
		}
		_, err := Read(c, "t")
		errs <- err
		errs <- sample().Write(c)
	}()
	for range 2 {
		if err := <-errs; !errors.Is(err, fs.ErrPermission) {
			t.Errorf("got %v", err)
		} else {
			t.Log(err)
		}
	}
}
