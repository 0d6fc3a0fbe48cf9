package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mape-netplan/cmd/mape-netplan/internal/lab"
)

// earlier is the commit whose program made the gateway that is upgraded: the
// last one before reconcile was split into packages.
const earlier = "41cf84617f8083285ab5aea3e5bc452c23a560b2"

// buildEarlier builds the program of the earlier commit out of the repository's
// history and returns its path, or "" and why it cannot. With MAPE_CI=1 only a
// shallow clone may lack the commit; otherwise the test fails.
func buildEarlier(t *testing.T) (program, why string) {
	t.Helper()
	// Git refuses the history of a checkout that is another user's.
	git := func(args ...string) *exec.Cmd {
		return exec.Command("git", append([]string{"-c", "safe.directory=*", "-C", "../.."}, args...)...)
	}
	if out, err := git("cat-file", "-e", earlier+"^{commit}").CombinedOutput(); err != nil {
		why := fmt.Sprintf("commit %.7s is not in this clone (\"git fetch --unshallow\" gets the history): %v\n%s", earlier, err, out)
		// A shallow clone cannot have it; any other must.
		shallow, _ := git("rev-parse", "--is-shallow-repository").Output()
		if os.Getenv("MAPE_CI") == "1" && strings.TrimSpace(string(shallow)) != "true" {
			t.Fatal(why)
		}
		return "", why
	}
	dir := t.TempDir()
	source, archive := filepath.Join(dir, "source"), filepath.Join(dir, "source.tar")
	program = filepath.Join(dir, "mape-netplan")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", program, "./cmd/mape-netplan")
	build.Dir, build.Env = source, append(os.Environ(), "CGO_ENABLED=0")
	for _, cmd := range []*exec.Cmd{git("archive", "--output", archive, earlier), exec.Command("tar", "-xf", archive, "-C", source), build} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
		}
	}
	return program, ""
}

// upgraded: this program replaces an earlier one on a gateway of that one's
// making. plan and apply name only what changed on purpose since then, install
// only the unit whose text did, and connections live through all of it.
func (g *guest) upgraded() {
	// Since then the table says who made it, a UDP packet meets one rule that
	// sets a timeout, not two, nothing leaves for addresses that no host on the
	// internet has, and the tunnel has a filter of its own.
	want := []string{"filter mape0 egress", "table ip mape"}
	// The earlier program runs netplan's generate. Since netplan 1.2 that aborts, and
	// configure does what it did.
	g.sh(`set -e
[ ! -e /usr/libexec/netplan/configure ] || mount --bind /usr/libexec/netplan/configure /usr/libexec/netplan/generate
mape-netplan uninstall --timeout 10m
mape-netplan remove
cp /usr/local/bin/mape-netplan /root/new # /mnt is still the CD-ROM.
install -m 755 /mnt/mape-netplan.earlier /usr/local/bin/next
mv /usr/local/bin/next /usr/local/bin/mape-netplan
mape-netplan install --timeout 10m`)
	if out := g.sh("mape-netplan apply"); out != "unchanged\n" {
		g.Errorf("the earlier program's second apply: %s", out)
	}
	g.reached()

	ctx, cancel := context.WithCancel(g.ctx)
	defer cancel()
	var traffic sync.WaitGroup
	for _, script := range []string{
		"ping -n -i 0.05 " + lab.Servers[4],
		"while sleep 0.05; do echo hello >/dev/udp/" + lab.Servers[5] + "/7; done",
	} {
		traffic.Go(func() { g.network.LAN.Output(ctx, "bash", "-c", script) })
	}
	conn, err := g.dial(serverPort(1, 7), 10*time.Second)
	if err != nil {
		g.Fatal(err)
	}
	defer conn.Close()
	lines, before := bufio.NewReader(conn), g.network.Relay.Report().Packets
	lives := func(after string) {
		g.Helper()
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		if err := ping(conn, lines); err != nil {
			g.Errorf("after %s, the connection from before says %v", after, err)
		}
	}
	lives("the earlier install")
	const footprint = "stat -c '%s bytes' /usr/local/bin/mape-netplan; grep VmHWM /proc/$(systemctl show --property MainPID --value mape-netplan.service)/status"
	g.Logf("the earlier program: %q", g.sh(footprint))

	g.sh("mv /root/new /usr/local/bin/mape-netplan; umount -q /usr/libexec/netplan/generate || true")
	if names := g.names("plan", exitDiffers); !slices.Equal(names, want) {
		g.Errorf("plan names %q, not %q", names, want)
	}
	// The earlier service would take the table that it does not know for damage.
	g.sh("systemctl stop mape-netplan.service")
	var r result
	g.json("mape-netplan apply --json", 0, &r)
	var names []string
	for _, c := range r.Changes {
		names = append(names, c.Name)
		if c.Name == "table ip mape" {
			g.explained(c)
		}
	}
	if slices.Sort(names); !slices.Equal(names, want) {
		g.Errorf("apply changed %q, not %q", names, want)
	}
	lives("apply")
	if out := g.sh("mape-netplan apply"); out != "unchanged\n" {
		g.Errorf("the second apply: %s", out)
	}
	if out := g.sh("mape-netplan install --timeout 10m"); out != "changed file /etc/systemd/system/mape-netplan-guard.service\n"+
		"changed file /etc/systemd/system/mape-netplan.service\n"+ // DHCPv6 options and MAP-T want more rights.
		"created unit mape-netplan.service\n"+ // It was stopped.
		"changed unit mape-netplan-guard.service\n" {
		g.Errorf("install says\n%s", out)
	}
	if out := g.sh("mape-netplan install"); out != "unchanged\n" {
		g.Errorf("the second install: %s", out)
	}
	lives("install")
	g.sh("mape-netplan status")
	g.Logf("this program: %q", g.sh(footprint))

	cancel()
	traffic.Wait()
	conn.Close()
	sent := g.network.Relay.Report().Packets - before
	g.Logf("%d packets judged through the upgrade", sent)
	if sent < 50 {
		g.Error("that is not enough to judge by")
	}
	g.traffic()
	g.quiet()
}

// explained: the table changes by what is new on purpose.
func (g *guest) explained(c changeView) {
	g.Helper()
	head, rest, _ := strings.Cut(c.After, "\tset special {\n")
	_, tail, _ := strings.Cut(rest, "\n\t}\n")
	before, after := slices.Collect(strings.Lines(c.Before)), slices.Collect(strings.Lines(head+tail))
	differ := 0
	for _, side := range [][2][]string{{before, after}, {after, before}} {
		for _, line := range side[0] {
			if slices.Contains(side[1], line) {
				continue
			}
			differ++
			if !slices.ContainsFunc([]string{"comment", "ct timeout set", "@special drop"}, func(new string) bool { return strings.Contains(line, new) }) {
				g.Errorf("the table changes by %q", line)
			}
		}
	}
	if differ == 0 {
		g.Errorf("the table does not change:\n%s", c.After)
	}
}
