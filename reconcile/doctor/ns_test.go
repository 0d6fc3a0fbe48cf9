package doctor_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// unable skips, or fails with MAPE_CI=1: there the machine was prepared for everything, and a skip would hide a hole.
func unable(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("MAPE_CI") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func needTool(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		unable(t, err.Error())
	}
}

// ns is a network namespace without a name: it goes when its last descriptor, socket and process go.
type ns struct{ handle netns.NsHandle }

// newNS makes a namespace with loopback up.
func newNS(t testing.TB) ns {
	t.Helper()
	if os.Geteuid() != 0 {
		unable(t, "needs root to make network namespaces")
	}
	runtime.LockOSThread()
	old, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	n, err := netns.New()
	if err != nil {
		runtime.UnlockOSThread()
		unable(t, "cannot make a network namespace: "+err.Error())
	}
	back(old)
	t.Cleanup(func() { n.Close() })
	one := ns{n}
	one.run(t, "ip link set lo up")
	return one
}

// back returns the locked thread to where it came from. Where that fails it stays locked and ends with its goroutine.
func back(old netns.NsHandle) {
	if netns.Set(old) == nil {
		runtime.UnlockOSThread()
	}
}

// do runs f in the namespace, in the same goroutine; goroutines that f starts are outside.
func (n ns) do(f func()) {
	runtime.LockOSThread()
	old, err := netns.Get()
	if err != nil {
		panic(err)
	}
	defer old.Close()
	if err := netns.Set(n.handle); err != nil {
		panic(err)
	}
	defer back(old)
	f()
}

// try runs a shell script in the namespace.
func (n ns) try(script string) (out string, err error) {
	n.do(func() {
		var b []byte
		b, err = exec.Command("sh", "-ec", script).CombinedOutput()
		out = string(b)
	})
	return out, err
}

// run is try for scripts that have to succeed.
func (n ns) run(t testing.TB, script string) string {
	t.Helper()
	out, err := n.try(script)
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

// veth joins two namespaces by a pair of interfaces, up.
func veth(t testing.TB, a ns, aName string, b ns, bName string) {
	t.Helper()
	a.do(func() {
		link := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: bName, PeerNamespace: netlink.NsFd(b.handle)}
		link.Name = aName
		if err := netlink.LinkAdd(link); err != nil {
			t.Fatalf("veth %s: %v", aName, err)
		}
	})
	a.run(t, "ip link set "+aName+" up")
	b.run(t, "ip link set "+bName+" up")
}

// advertise has a router announce itself on an interface of the namespace until the test ends.
func (n ns) advertise(t testing.TB, link, prefix string) {
	t.Helper()
	needTool(t, "radvd")
	conf := "interface " + link + " {\n\tAdvSendAdvert on;\n\tMinRtrAdvInterval 3;\n\tMaxRtrAdvInterval 4;\n\tAdvDefaultLifetime 1800;\n"
	if prefix != "" {
		conf += "\tprefix " + prefix + " {\n\t};\n"
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "radvd.conf")
	if err := os.WriteFile(file, []byte(conf+"};\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("radvd", "-n", "-m", "logfile", "-l", filepath.Join(dir, "log"), "-C", file, "-p", filepath.Join(dir, "pid"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	n.run(t, "sysctl -qw net.ipv6.conf.all.forwarding=1")
	n.do(func() {
		// The thread that starts it has to live as long: its death is the process' signal.
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// until waits for a script in the namespace to print some words.
func (n ns) until(t testing.TB, script, words string) {
	t.Helper()
	out := ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if out, _ = n.try(script); strings.Contains(out, words) {
			return
		}
	}
	t.Fatalf("%s never printed %q:\n%s", script, words, out)
}
