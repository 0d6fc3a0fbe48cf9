// Package hosttest has what tests of every package share: network namespaces, directories that stand for a machine, packets.
package hosttest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// NeedRoot skips a test that makes network namespaces, or files of several users, where it may not.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Unable(t, "needs root")
	}
}

// NeedBPF skips a test of programs for traffic control where they cannot be loaded.
func NeedBPF(t testing.TB) {
	t.Helper()
	NeedRoot(t)
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "Apache-2.0", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}})
	if err != nil {
		Unable(t, err.Error())
	}
	p.Close()
}

// NeedTool skips a test that runs a program which is not installed.
func NeedTool(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		Unable(t, err.Error())
	}
}

// Unable skips, or fails with MAPE_CI=1: there the machine was prepared for everything, and a skip would hide a hole.
func Unable(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("MAPE_CI") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// NS is a network namespace without a name: it goes when its last descriptor, socket and process go.
type NS struct{ f *os.File }

// NewNS makes a namespace with loopback up, gone when the test ends.
func NewNS(t testing.TB) *NS {
	t.Helper()
	NeedRoot(t)
	f, err := FreshNS()
	if err != nil {
		Unable(t, fmt.Sprintf("cannot make a network namespace: %v", err))
	}
	t.Cleanup(func() { f.Close() })
	n := &NS{f}
	n.Exec(t, "ip", "link", "set", "lo", "up")
	return n
}

func FreshNS() (*os.File, error) {
	runtime.LockOSThread()
	old, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	defer old.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	f, err := os.Open("/proc/thread-self/ns/net")
	back(old)
	return f, err
}

// back returns the locked thread to the namespace it came from. Where that fails the thread stays locked: Go ends it
// with its goroutine instead of giving it to another one.
func back(old *os.File) {
	if unix.Setns(int(old.Fd()), unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread()
	}
}

func (n *NS) FD() int { return int(n.f.Fd()) }

// Do runs f in the namespace, in the same goroutine: f may call t.Fatal, and sockets and processes it makes stay there.
// Goroutines that f starts do not.
func (n *NS) Do(f func()) {
	runtime.LockOSThread()
	old, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		panic(err)
	}
	defer old.Close()
	if err := unix.Setns(n.FD(), unix.CLONE_NEWNET); err != nil {
		panic(err)
	}
	defer back(old)
	f()
}

// Try runs a command in the namespace and returns what it printed.
func (n *NS) Try(name string, args ...string) (out string, err error) {
	n.Do(func() {
		var b []byte
		b, err = exec.Command(name, args...).CombinedOutput()
		out = string(b)
	})
	return out, err
}

// Exec is Try for commands that have to succeed.
func (n *NS) Exec(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := n.Try(name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// veths counts the pairs.
var veths atomic.Int32

// Veth joins two namespaces by a pair of interfaces, up and with a carrier. Each has its address, such as "192.0.2.1/24";
// "" leaves it without.
func Veth(t testing.TB, a *NS, aName, aAddr string, b *NS, bName, bAddr string) {
	t.Helper()
	a.Do(func() {
		link := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: bName, PeerNamespace: netlink.NsFd(b.FD())}
		link.Name = aName
		// Ends of the same index wait a second for their carrier: the kernel takes them for no pair (linkwatch_urgent_event).
		link.Index = 1000 + int(veths.Add(1))
		if err := netlink.LinkAdd(link); err != nil {
			t.Fatalf("veth %s: %v", aName, err)
		}
	})
	for _, end := range []struct {
		n          *NS
		name, addr string
	}{{a, aName, aAddr}, {b, bName, bAddr}} {
		if end.addr != "" {
			end.n.Exec(t, "ip", "addr", "add", end.addr, "dev", end.name)
		}
		end.n.Exec(t, "ip", "link", "set", end.name, "up")
	}
	carrier(t, a, aName)
	carrier(t, b, bName)
}

// carrier waits until an interface has one: the kernel notes it in a thread of its own.
func carrier(t testing.TB, n *NS, name string) {
	t.Helper()
	n.Do(func() {
		for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			link, err := netlink.LinkByName(name)
			if err != nil {
				t.Fatal(err)
			}
			if link.Attrs().OperState == netlink.OperUp {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s has no carrier", name)
			}
		}
	})
}

func Sysctl(t testing.TB, n *NS, values map[string]string) {
	t.Helper()
	n.Do(func() {
		for key, value := range values {
			if err := os.WriteFile("/proc/sys/net/"+key, []byte(value), 0o644); err != nil {
				t.Logf("sysctl: %v", err)
			}
		}
	})
}

// Tun makes a TUN device of MTU 1460, up: like a tunnel it is point to point, without addresses of its own, and of the
// type that the table knows tunnels by.
func Tun(t testing.TB, n *NS, name string) *os.File {
	t.Helper()
	var f *os.File
	n.Do(func() {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		request, err := unix.NewIfreq(name)
		if err != nil {
			t.Fatal(err)
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			t.Fatalf("TUN device: %v", err)
		}
		if err := unix.IoctlSetInt(fd, unix.TUNSETLINK, unix.ARPHRD_TUNNEL6); err != nil {
			t.Fatalf("TUN device: link type: %v", err)
		}
		f = os.NewFile(uintptr(fd), name)
	})
	n.Exec(t, "ip", "link", "set", name, "mtu", "1460", "txqueuelen", "10000", "up")
	return f
}
