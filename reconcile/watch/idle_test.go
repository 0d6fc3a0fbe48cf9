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

// What a watch may cost that has nothing to do.
const (
	idleTime   = 20 * time.Second
	idleCPU    = 0.001    // of the time: a tenth of a percent
	idleMemory = 25 << 20 // bytes resident at the most, ever
)

// TestWatchIdle measures a process that watches a machine on which nothing
// happens but what happens on every line: the router advertises the same again
// and again.
func TestWatchIdle(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Exec(t, "sh", "-ec", "ip link add mape0 type bridge; ip link set mape0 up; ip address add "+gatewaytest.LineAddress+" dev eth1 valid_lft 7200 preferred_lft 7200")
	hosttest.WriteFile(t, filepath.Join(g.Dir, "section"), "mape: "+gatewaytest.Auto+"\n")
	var out bytes.Buffer
	cmd := exec.Command(os.Args[0], "-test.run=^TestWatchProcess$", "-test.v")
	cmd.Env = append(os.Environ(), "MAPE_WATCH="+g.Dir)
	cmd.Stdout, cmd.Stderr = &out, &out
	g.Do(func() {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	})
	end := func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	}
	defer end()
	for begin := time.Now(); !strings.Contains(g.Exec(t, "ip", "route", "show", "default"), "mape0"); time.Sleep(100 * time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatal("it does not come up")
		}
	}
	advertise := func() {
		g.Exec(t, "ip", "address", "change", gatewaytest.LineAddress, "dev", "eth1", "valid_lft", "7200", "preferred_lft", "7200")
	}
	advertise() // The first one it has to look at.
	time.Sleep(3 * time.Second)
	before, begin := cpuTime(t, cmd.Process.Pid), time.Now()
	for time.Since(begin) < idleTime {
		time.Sleep(3 * time.Second) // RFC 4861, section 6.2.1: no router does so more often
		advertise()
	}
	share := float64(cpuTime(t, cmd.Process.Pid)-before) / float64(time.Since(begin))
	memory := peakMemory(t, cmd.Process.Pid)
	t.Logf("%.4f %% of the CPU, %.1f MB at the most", share*100, float64(memory)/(1<<20))
	if share > idleCPU {
		t.Errorf("it takes %.3f %% of the CPU", share*100)
	}
	if memory > idleMemory {
		t.Errorf("it has had %d bytes resident", memory)
	}
	end()
	if !strings.Contains(out.String(), "CE "+gatewaytest.CeOfLine) || strings.Contains(out.String(), "FAIL") {
		t.Errorf("it says\n%s", &out)
	}
}

// TestWatchProcess is the process that TestWatchIdle measures.
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
		Section: func() (*schema.Config, error) {
			data, err := os.ReadFile(dir + "/section")
			if err != nil {
				return nil, err
			}
			return schema.Parse("section", data)
		},
		Log:     func(_ Priority, text string) { t.Log(text) },
		Notify:  func(string) {},
		Compile: withoutTunnel,
	}
	if err := w.Run(ctx); err != nil && ctx.Err() == nil {
		t.Error(err)
	}
}

// cpuTime is how long a process has run, all its threads.
func cpuTime(t *testing.T, pid int) (all time.Duration) {
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

// peakMemory is the most that was resident, in bytes.
func peakMemory(t *testing.T, pid int) int {
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
			return kB << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
