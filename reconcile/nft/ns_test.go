package nft

import (
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
		t.Skip("cannot make a network namespace")
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
