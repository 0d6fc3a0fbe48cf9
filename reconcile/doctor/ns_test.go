package doctor_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/internal/hosttest"
)

// ns is a network namespace that shell scripts set up.
type ns struct{ *hosttest.NS }

func newNS(t testing.TB) ns { return ns{hosttest.NewNS(t)} }

// try runs a shell script in the namespace.
func (n ns) try(script string) (out string, err error) { return n.Try("sh", "-ec", script) }

// run is try for scripts that have to succeed.
func (n ns) run(t testing.TB, script string) string {
	t.Helper()
	return n.Exec(t, "sh", "-ec", script)
}

// veth joins two namespaces by a pair of interfaces, up.
func veth(t testing.TB, a ns, aName string, b ns, bName string) {
	t.Helper()
	hosttest.Veth(t, a.NS, aName, "", b.NS, bName, "")
}

// advertise sends router advertisements on an interface of the namespace until the test ends.
func (n ns) advertise(t testing.TB, link, prefix string) {
	t.Helper()
	hosttest.NeedTool(t, "radvd")
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
	n.Do(func() {
		// Pdeathsig is sent when the thread that starts it ends.
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
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if out, _ = n.try(script); strings.Contains(out, words) {
			return
		}
	}
	t.Fatalf("%s never printed %q:\n%s", script, words, out)
}
