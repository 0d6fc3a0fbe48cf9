package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/resource"
	"mape-netplan/schema"
)

// What a small gateway may be asked to spare.
const (
	maxBinary = 14 << 20 // bytes of the static binary
	maxRSS    = 20 << 20 // bytes resident, the whole process
)

// TestFootprint holds the program to its limits. Time has none here, because the machine may be shared: see
// BenchmarkPlan.
func TestFootprint(t *testing.T) {
	size, rss := measure(t, func(*exec.Cmd) {})
	t.Logf("the binary has %d bytes, plan %d bytes resident", size, rss)
	if size >= maxBinary {
		t.Errorf("the static binary has %d bytes, and the limit is %d", size, maxBinary)
	}
	if rss >= maxRSS {
		t.Errorf("plan has %d bytes resident, and the limit is %d", rss, maxRSS)
	}
}

// BenchmarkPlan is the whole process, from exec to exit.
func BenchmarkPlan(b *testing.B) {
	var cpu time.Duration
	size, rss := measure(b, func(plan *exec.Cmd) {
		for b.Loop() {
			again := *plan
			again.Stdout = nil
			if err := again.Run(); exitOf(err) != exitDiffers {
				b.Error(err)
				return
			}
			cpu += again.ProcessState.UserTime() + again.ProcessState.SystemTime()
		}
	})
	b.ReportMetric(float64(size)/(1<<20), "MB-binary")
	b.ReportMetric(float64(rss)/(1<<20), "MB-rss")
	// What is left of ms/op on a machine that has something else to do as well.
	b.ReportMetric(float64(cpu.Microseconds())/1000/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/op")
}

// needRoot skips a test where it cannot make namespaces. With MAPE_CI=1 nothing may be missing, and it fails instead.
func needRoot(t testing.TB) {
	t.Helper()
	const why = "needs root to make namespaces"
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("MAPE_CI") == "1":
		t.Fatal(why)
	default:
		t.Skip(why)
	}
}

// measure builds the static binary, runs plan with it on a machine of its own where as much is in sync as a kernel
// without ip6_tunnel allows, and returns the binary's size and the most that was resident. then may run plan again.
func measure(t testing.TB, then func(*exec.Cmd)) (size, rss int64) {
	t.Helper()
	needRoot(t)
	dir := t.TempDir()
	binary := static(t, dir)
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		machine(t, dir)
		plan := &exec.Cmd{Path: "/mape-netplan", Args: []string{"mape-netplan", "plan", "-c", "/section"}, Dir: "/", SysProcAttr: &syscall.SysProcAttr{Chroot: dir}}
		out := new(bytes.Buffer)
		plan.Stdout, plan.Stderr = out, out
		first := *plan
		if err := first.Run(); exitOf(err) != exitDiffers {
			t.Errorf("plan: %v\n%s", err, out)
			return
		}
		// Only what needs a tunnel may differ.
		for line := range strings.Lines(out.String()) {
			if name, ok := strings.CutPrefix(line, "+++ "); ok && !strings.Contains(name, "mape0") {
				t.Errorf("is not in sync: %s", name)
			}
		}
		rss = resident(t, dir)
		then(plan)
	}()
	<-done
	return info.Size(), rss
}

func static(t testing.TB, dir string) string {
	t.Helper()
	binary := filepath.Join(dir, "mape-netplan")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// machine puts the thread into namespaces of its own, which end with it, and makes there what apply would, but for the
// tunnel.
func machine(t testing.TB, dir string) {
	runtime.LockOSThread() // and never back: Go ends the thread with the goroutine.
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		t.Error(err)
		runtime.Goexit()
	}
	script := `
		mount --make-rprivate /; mkdir -p $0/proc $0/etc/netplan $0/usr/sbin $0/dev; mount -t proc proc $0/proc; : >$0/usr/sbin/netplan
		echo 'network: {ethernets: {eth0: {addresses: [192.168.1.5/24]}, eth1: {}}}' >$0/etc/netplan/50-cloud-init.yaml
		echo 'mape: {wan: eth1, prefix: "2400:4050:5c71:af00::/56"}' >$0/section
		ip link add eth0 type veth peer name lan; ip link add eth1 type veth peer name line
		echo 0 >/proc/sys/net/ipv6/conf/eth1/accept_dad
		for link in eth0 eth1 lan line; do ip link set $link up; done; ip address add 192.168.1.5/24 dev eth0`
	if out, err := exec.Command("sh", "-ec", script, dir).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
		runtime.Goexit()
	}
	if err := converge(t, dir); err != nil {
		t.Error(err)
		runtime.Goexit()
	}
}

func converge(t testing.TB, dir string) error {
	h, err := host.Open("")
	if err != nil {
		return err
	}
	if h.Root, err = os.OpenRoot(dir); err != nil {
		return err
	}
	h.Bus = nil
	data, err := os.ReadFile(filepath.Join(dir, "section"))
	if err != nil {
		return err
	}
	c, err := schema.Parse("section", data)
	if err != nil {
		return err
	}
	facts, err := facts.Gather(h)
	if err != nil {
		return err
	}
	aim := gateway.Resolve(c, facts)
	if aim.Err != nil {
		return aim.Err
	}
	var want []engine.Resource
	for _, r := range gateway.Compile(aim.Gateway, facts) {
		if _, file := r.(resource.File); file || !strings.Contains(r.Name(), "mape0") {
			want = append(want, r)
		}
	}
	_, err = engine.Converge(t.Context(), h, want)
	return err
}

// resident runs plan once more and returns the most that was resident. A process that is forked counts the pages of
// its parent as its own until it executes something, so a shell forks it, and we adopt it.
func resident(t testing.TB, dir string) int64 {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Error(err)
		return 0
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	out, err := exec.Command("sh", "-c", "chroot $0 /mape-netplan plan -c /section >/dev/null 2>&1 & echo $!", dir).Output()
	if err != nil {
		t.Error(err)
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Error(err)
		return 0
	}
	var usage unix.Rusage
	var status unix.WaitStatus
	for {
		if _, err = unix.Wait4(pid, &status, 0, &usage); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil || status.ExitStatus() != exitDiffers {
		t.Error(fmt.Errorf("plan: exit code %d, %w", status.ExitStatus(), err))
	}
	return usage.Maxrss << 10
}

func exitOf(err error) int {
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}
