package host_test

import (
	"os"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/host"
)

// TestReadInSandbox: systemd's RestrictSUIDSGID= has openat2(2), whose flags a filter cannot see, fail with ENOSYS.
func TestReadInSandbox(t *testing.T) {
	root, err := os.OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	h, errs := &host.Host{Root: root}, make(chan error)
	go func() {
		runtime.LockOSThread() // The filter stays with the thread, which ends with this function.
		filter := []unix.SockFilter{
			{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the call
			{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_OPENAT2, Jf: 1},
			{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
			{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		}
		program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		if err == nil {
			err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
		}
		if err == nil {
			if _, e := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{}); e != unix.ENOSYS {
				t.Errorf("openat2: %v", e)
			}
			_, err = h.ReadFile("/etc/passwd")
		}
		if err == nil {
			_, err = h.Glob("/etc/*.d")
		}
		if err == nil {
			_, err = host.ReadNamed(t.Context(), "/etc/passwd")
		}
		errs <- err
	}()
	if err := <-errs; err != nil {
		t.Error(err)
	}
}
