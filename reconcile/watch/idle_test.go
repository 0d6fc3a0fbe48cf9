package watch

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nft"
	"mape-netplan/schema"
)

// advertise renews an address as a router advertisement does.
var advertise = []string{"address", "change", gatewaytest.LineAddress, "dev", "eth1", "valid_lft", "7200", "preferred_lft", "7200"}

// TestWatchIdle: a router that advertises the same again and again causes no pass.
func TestWatchIdle(t *testing.T) {
	t.Parallel()
	g := newMachine(t)
	g.Exec(t, "ip", append([]string{"address", "replace"}, advertise[2:]...)...)
	w := startService(t, g, gatewaytest.Auto)
	w.says(t, "CE "+gatewaytest.CeOfLine)
	passes := 0
	for range 10 { // The kernel sends its last messages about an interface that came up late.
		w.looks(t)
		before := 0
		w.await(t, "", func() bool { before = w.looked; return true })
		for range 20 {
			w.Exec(t, "ip", advertise...)
		}
		w.looks(t)
		w.await(t, "", func() bool { passes = w.looked - before - 2; return true })
		if passes == 0 {
			return
		}
	}
	t.Errorf("%d passes for 20 advertisements", passes)
}

// BenchmarkIdle is a process that watches a machine on which nothing happens but what happens on every line: every three
// seconds, as often as RFC 4861, section 6.2.1, allows, the router advertises the same again. An operation is one of
// those. It takes less than 0.1 % of the CPU and 25 MB.
func BenchmarkIdle(b *testing.B) {
	g := newMachine(b)
	g.Exec(b, "ip", append([]string{"address", "replace"}, advertise[2:]...)...)
	hosttest.WriteFile(b, filepath.Join(g.Dir, "section"), "mape: "+gatewaytest.Auto+"\n")
	var out bytes.Buffer
	cmd := exec.Command(os.Args[0], "-test.run=^TestWatchProcess$", "-test.v")
	cmd.Env = append(os.Environ(), "MAPE_WATCH="+g.Dir)
	cmd.Stdout, cmd.Stderr = &out, &out
	g.Do(func() {
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
	})
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	}()
	for end := time.Now().Add(patience); !strings.Contains(g.Exec(b, "ip", "route", "show", "default"), "mape0"); time.Sleep(100 * ms) {
		if time.Now().After(end) {
			b.Fatalf("it does not come up:\n%s", &out)
		}
	}
	g.Exec(b, "ip", advertise...) // At the first one it looks.
	time.Sleep(3 * time.Second)
	before, begin := cpuTime(b, cmd.Process.Pid), time.Now()
	for range b.N {
		time.Sleep(3 * time.Second)
		g.Exec(b, "ip", advertise...)
	}
	b.ReportMetric(100*float64(cpuTime(b, cmd.Process.Pid)-before)/float64(time.Since(begin)), "%cpu")
	b.ReportMetric(peakMemory(b, cmd.Process.Pid), "MB")
}

// TestWatchProcess is the process that BenchmarkIdle measures.
func TestWatchProcess(t *testing.T) {
	dir := os.Getenv("MAPE_WATCH")
	if dir == "" {
		return
	}
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	defer stop()
	h, err := host.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if h.Sys, err = os.OpenRoot("/proc/sys"); err != nil {
		t.Fatal(err)
	}
	if h.Net, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		t.Fatal(err)
	}
	if h.NFT, err = nft.Open(); err != nil {
		t.Fatal(err)
	}
	w := &Watch{
		Host: h, Files: []string{dir + "/section"}, Watchdog: time.Minute,
		Section: func() (*schema.Config, []byte, error) {
			data, err := os.ReadFile(dir + "/section")
			if err != nil {
				return nil, nil, err
			}
			c, err := schema.Parse("section", data)
			return c, data, err
		},
		Log:     func(_ Priority, text string) { t.Log(text) },
		Notify:  func(string) {},
		Compile: withoutTunnel,
	}
	if err := w.Run(ctx); err != nil && ctx.Err() == nil {
		t.Error(err)
	}
}

// cpuTime is the CPU time of a process, all its threads.
func cpuTime(t testing.TB, pid int) (all time.Duration) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(threads) == 0 {
		t.Fatal("the process is gone: ", err)
	}
	for _, name := range threads {
		data, _ := os.ReadFile(name)
		run, _, _ := strings.Cut(string(data), " ")
		ns, err := strconv.ParseInt(run, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all += time.Duration(ns)
	}
	return all
}

// peakMemory is the most that was resident, in MB.
func peakMemory(t testing.TB, pid int) float64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kB, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return float64(kB) / 1024
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
