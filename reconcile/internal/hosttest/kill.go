package hosttest

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// KillAt runs a program until it is about to have its n-th effect, counted from 1, and kills it there with SIGKILL. An
// effect is a system call that changes files or asks netlink for a change. If the program ends before, killed is false,
// and the error is that of its exit code.
func KillAt(n int, program string, args, env []string, output *os.File) (killed bool, err error) {
	runtime.LockOSThread() // The kernel takes a thread for the tracer.
	defer runtime.UnlockOSThread()
	pid, err := syscall.ForkExec(program, append([]string{program}, args...), &syscall.ProcAttr{
		Env: env, Files: []uintptr{0, output.Fd(), output.Fd()}, Sys: &syscall.SysProcAttr{Ptrace: true},
	})
	if err != nil {
		return false, err
	}
	begun, entered := map[int]bool{}, map[int]bool{} // threads
	for effects := 0; ; {
		var status unix.WaitStatus
		thread, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return killed, err
		case !status.Stopped():
			if thread != pid {
				continue
			}
			if !killed && status.ExitStatus() != 0 {
				err = fmt.Errorf("exit status %d", status.ExitStatus())
			}
			return killed, err
		case killed:
			continue
		}
		signal := status.StopSignal()
		switch {
		case signal == unix.SIGTRAP|0x80: // PTRACE_O_TRACESYSGOOD
			signal = 0
			if entered[thread] = !entered[thread]; entered[thread] && isEffect(thread) {
				effects++
			}
			if effects == n {
				killed = true
				if err := unix.Kill(pid, unix.SIGKILL); err != nil {
					return false, err
				}
				continue
			}
		case !begun[thread]:
			begun[thread], signal = true, 0
			if thread == pid {
				err = unix.PtraceSetOptions(pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL)
			}
		case signal == unix.SIGTRAP: // It has made a thread.
			signal = 0
		}
		if err == nil {
			err = unix.PtraceSyscall(thread, int(signal))
		}
		if err != nil && err != unix.ESRCH {
			return false, err
		}
	}
}

// isEffect is true of a thread that is about to make such a system call.
func isEffect(thread int) bool {
	var call struct { // struct ptrace_syscall_info
		op     uint8
		_      [3]uint8
		_      uint32
		_, _   uint64
		number uint64
		args   [6]uint64
	}
	if _, _, e := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(thread), unsafe.Sizeof(call), uintptr(unsafe.Pointer(&call)), 0, 0); e != 0 {
		return false
	}
	switch call.number {
	case unix.SYS_MKDIRAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_UNLINKAT, unix.SYS_SYMLINKAT:
		return true
	case unix.SYS_OPENAT:
		return call.args[2]&unix.O_CREAT != 0
	case unix.SYS_WRITE: // What is written to other files counts when they are named or renamed.
		file, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", thread, call.args[0]))
		return strings.HasPrefix(file, "/proc/sys/")
	case unix.SYS_SENDTO:
		return changes(thread, call.args[1])
	case unix.SYS_SENDMSG: // The message is where the first of its vector points to.
		return changes(thread, word(thread, word(thread, call.args[1]+16)))
	}
	return false
}

// changes is true of a netlink message that is no question.
func changes(thread int, message uint64) bool {
	switch kind := word(thread, message) >> 32 & 0xffff; kind >> 8 {
	case 0: // rtnetlink, where each third of four kinds is a question, and what nf_tables' batches begin with
		return kind%4 != 2
	case unix.NFNL_SUBSYS_CTNETLINK:
		return kind&0xff != 1 // IPCTNL_MSG_CT_GET
	}
	return false
}

// word is eight bytes of the memory of a thread.
func word(thread int, at uint64) uint64 {
	var b [8]byte
	if f, err := os.Open(fmt.Sprintf("/proc/%d/mem", thread)); err == nil {
		defer f.Close()
		_, _ = f.ReadAt(b[:], int64(at))
	}
	return binary.NativeEndian.Uint64(b[:])
}
