package reconcile

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// needRoot skips a test that has to make network namespaces where it may not.
func needRoot(t testing.TB) {
	t.Helper()
	why := ""
	if os.Geteuid() != 0 {
		why = "needs root to make network namespaces"
	} else if f, err := freshNS(); err != nil {
		why = fmt.Sprintf("cannot make a network namespace: %v", err)
	} else {
		f.Close()
	}
	if why != "" {
		unable(t, why)
	}
}

// needTool skips a test that runs a program which is not installed.
func needTool(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		unable(t, err.Error())
	}
}

// unable skips, or fails with MAPE_CI=1: there the machine was prepared for everything, and a skip would hide a hole.
func unable(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("MAPE_CI") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// ns is a network namespace without a name: it goes when its last descriptor, socket and process go.
type ns struct{ f *os.File }

// newNS makes a namespace with loopback up, gone when the test ends.
func newNS(t testing.TB) *ns {
	t.Helper()
	needRoot(t)
	f, err := freshNS()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	n := &ns{f}
	n.run(t, "ip", "link", "set", "lo", "up")
	return n
}

func freshNS() (*os.File, error) {
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

func (n *ns) fd() int { return int(n.f.Fd()) }

// do runs f in the namespace, in the same goroutine: f may call t.Fatal, and sockets and processes it makes stay there.
// Goroutines that f starts do not.
func (n *ns) do(f func()) {
	runtime.LockOSThread()
	old, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		panic(err)
	}
	defer old.Close()
	if err := unix.Setns(n.fd(), unix.CLONE_NEWNET); err != nil {
		panic(err)
	}
	defer back(old)
	f()
}

// try runs a command in the namespace and returns what it printed.
func (n *ns) try(name string, args ...string) (out string, err error) {
	n.do(func() {
		var b []byte
		b, err = exec.Command(name, args...).CombinedOutput()
		out = string(b)
	})
	return out, err
}

// run is try for commands that have to succeed.
func (n *ns) run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := n.try(name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// veth joins two namespaces by a pair of interfaces, up, each with its address ("192.0.2.1/24", or "" for none).
func veth(t testing.TB, a *ns, aName, aAddr string, b *ns, bName, bAddr string) {
	t.Helper()
	a.do(func() {
		link := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: bName, PeerNamespace: netlink.NsFd(b.fd())}
		link.Name = aName
		if err := netlink.LinkAdd(link); err != nil {
			t.Fatalf("veth %s: %v", aName, err)
		}
	})
	for _, end := range []struct {
		n          *ns
		name, addr string
	}{{a, aName, aAddr}, {b, bName, bAddr}} {
		if end.addr != "" {
			end.n.run(t, "ip", "addr", "add", end.addr, "dev", end.name)
		}
		end.n.run(t, "ip", "link", "set", end.name, "up")
	}
}

func TestNS(t *testing.T) {
	a, b := newNS(t), newNS(t)
	veth(t, a, "one", "192.0.2.1/24", b, "two", "192.0.2.2/24")
	a.run(t, "ping", "-c1", "-W2", "192.0.2.2")
	if _, err := b.try("ip", "link", "show", "one"); err == nil {
		t.Error("the first end is in both namespaces")
	}
}
