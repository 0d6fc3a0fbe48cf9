package resource_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nft"
)

// A run makes a machine what a section says, or with "" a machine without a gateway.
type run struct {
	section string
	live    bool // as the service does it, with a gateway that works
	bridge  bool // for a kernel without ip6_tunnel
}

func (r run) on(h *host.Host) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	unlock, err := h.Lock(ctx, "test")
	if err != nil {
		return err
	}
	defer unlock()
	reconcile.Sweep(h)
	transition := gateway.Transition{Live: r.live, NoReload: r.live}
	var want []engine.Resource
	if r.bridge {
		want, err = bridgedOn(h, r.section, transition)
	} else if f, e := facts.Gather(h); e == nil {
		want, err = compile(r.section, f, transition)
	} else {
		err = e
	}
	if err == nil {
		_, err = engine.Converge(ctx, h, want)
	}
	return err
}

// killedRun is where the test binary finds the directory of the machine on which it is to do the run of its arguments, in
// its own network namespace.
const killedRun = "MAPE_KILLED_RUN"

func TestMain(m *testing.M) {
	dir, child := os.LookupEnv(killedRun)
	if !child {
		os.Exit(m.Run())
	}
	err := func() error {
		h, err := host.Open(dir)
		if err != nil {
			return err
		}
		h.Sys, err = os.OpenRoot("/proc/sys")
		var failed error
		h.Net, failed = netlink.NewHandle(unix.NETLINK_ROUTE)
		h.NFT = nft.OpenNS(0)
		if err = errors.Join(err, failed); err != nil {
			return err
		}
		return run{os.Args[1], os.Args[2] == "true", os.Args[3] == "true"}.on(h)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestKilled kills runs at each of their effects. The next run comes to what it would have come to without, and remove
// leaves the machine as it was before the first run, byte for byte.
func TestKilled(t *testing.T) {
	_, err := gatewaytest.TryTunnel(t)
	line := func(changes string) string {
		return strings.Replace(gatewaytest.LineSection, "{", "{"+changes, 1)
	}
	for name, r := range map[string]struct {
		from string
		to   run
	}{
		"apply":          {"", run{section: gatewaytest.LineSection}},
		"remove":         {gatewaytest.LineSection, run{}},
		"renumbering":    {gatewaytest.LineSection, run{section: strings.Replace(gatewaytest.LineSection, "af00", "b000", 1), live: true}},
		"another tunnel": {gatewaytest.LineSection, run{section: line("tunnel: ipoe, ")}},
		"another WAN":    {gatewaytest.LineSection, run{section: replacing["another WAN"]}},
		"to networkd":    {gatewaytest.LineSection, run{section: line("backend: networkd, ")}},
		"to netplan":     {line("backend: networkd, "), run{section: gatewaytest.LineSection}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r.to.bridge = err != nil
			g := gatewaytest.NewMachine(t)
			for _, link := range []string{"eth0", "eth1"} {
				hosttest.WriteFile(t, filepath.Join(g.Dir, "run/systemd/network/10-netplan-"+link+".network"), "[Match]\nName="+link+"\n")
			}
			hosttest.WriteFile(t, filepath.Join(g.Dir, "etc/systemd/network/10-netplan-lo.network.d/README"), "")
			g.Exec(t, "mkdir", filepath.Join(g.Dir, "etc/systemd/network/users.network.d"))
			killed(t, g, run{section: r.from, bridge: r.to.bridge}, r.to)
		})
	}
}

func killed(t *testing.T, g *gatewaytest.Machine, from, to run) {
	output, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	machine := func(r run) string {
		t.Helper()
		g.Do(func() {
			if err := r.on(g.H); err != nil {
				t.Fatal(err)
			}
		})
		return g.Snapshot(t) + g.Exec(t, "sh", "-c", "nft -s list ruleset; head -v /proc/sys/net/ipv6/conf/*/optimistic_dad")
	}
	nothing := run{bridge: to.bridge}
	bare := machine(nothing)
	machine(from)
	made := machine(to)
	step := 1
	if testing.Short() {
		step = 5
	}
	for n, more := 1, true; more; n += step {
		all := []run{nothing, to}
		if os.Getenv("MAPE_CI_FULL") != "1" {
			all = all[n%2 : n%2+1]
		}
		for _, next := range all {
			machine(from)
			g.Do(func() {
				more, err = hosttest.KillAt(n, "/proc/self/exe", []string{to.section, fmt.Sprint(to.live), fmt.Sprint(to.bridge)}, append(os.Environ(), killedRun+"="+g.Dir), output)
			})
			if err != nil {
				said, _ := os.ReadFile(output.Name())
				t.Fatalf("run %d: %v: %s", n, err, said)
			}
			if next == to {
				gatewaytest.Unchanged(t, made, machine(to))
			}
			gatewaytest.Unchanged(t, bare, machine(nothing))
		}
		if t.Failed() {
			t.Fatal("killed at effect ", n)
		}
	}
}
