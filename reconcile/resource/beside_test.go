package resource_test

import (
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/resource"
)

// TestBesideWithoutControl: where the kernel answers no question about traffic control, a link has none.
func TestBesideWithoutControl(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	link, err := g.H.Net.LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine, and its filter with it
		answerNothing(t)
		if _, err := g.H.Net.QdiscList(link); err != unix.EOPNOTSUPP {
			t.Errorf("the kernel answers with %v", err)
		}
		if text, err := resource.Control(g.H, link); text != "" || err != nil {
			t.Errorf("read %q, %v", text, err)
		}
	}()
	<-done
}

// answerNothing refuses every message of this thread as a kernel without traffic control refuses those about it.
func answerNothing(t *testing.T) {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the system call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SENDTO, Jf: 1},
		{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EOPNOTSUPP)},
		{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Error(err)
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		t.Error(err)
	}
}
