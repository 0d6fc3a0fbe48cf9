package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mape-netplan/cmd/mape-netplan/internal/lab"
)

// releases are the Debian releases that the end-to-end test runs on, from the
// oldest to the newest systemd, netplan, kernel and nft that are supported.
// forky is Debian testing, whose versions move with the day its image is built.
var releases = []string{"bookworm", "trixie", "forky"}

// The line of the test: OCN, PSID 47 of 6 bits at offset 6.
var (
	linePrefix = netip.MustParsePrefix("2400:4050:5c71:af00::/56")
	shared     = netip.MustParseAddr("153.241.113.198")
	ocnLine    = lab.Judge{
		CE:    netip.MustParseAddr("2400:4050:5c71:af00:99:f171:c600:2f00"),
		BR:    netip.MustParseAddr("2001:380:a120::9"),
		IPv4:  netip.PrefixFrom(shared, 32),
		InSet: func(port uint16) bool { return port >= 1024 && port>>4&63 == 47 },
	}
)

// look prints what remove has to bring back.
const look = `#!/bin/sh
nft list ruleset
# ip6tnl0 comes and goes with the kernel's module; names of a link
# depend on whether udev saw it at its first or a later boot.
ip -o link | sed 's/^[0-9]*: //; s/ *.    altname.*//' | grep -v '^ip6tnl0' | sort
ip -4 route
find /etc/netplan /etc/systemd/network /etc/sysctl.d /run/systemd/network ! -name '*.link' -exec stat -c '%n %a %U' {} + | sort
sysctl net.ipv4.ip_forward
`

// userData is the example of the README. Only the label of the CD-ROM is
// another one, before install the machine is looked at, and install may take
// long: an emulated processor on a busy host was seen at a tenth of its speed.
func userData(t *testing.T) string {
	data, err := os.ReadFile("../../examples/cloud-init.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	const install = "  - /usr/local/bin/mape-netplan install --timeout "
	for _, r := range [][2]string{
		{"#cloud-config\n", ""}, // The laboratory has it.
		{"LABEL=mape", "LABEL=cidata"},
		{"  - umount /mnt\n", "  - install -m 755 /mnt/reconcile.test /mnt/look /root\n"},
		{install + "2m", "  - /root/look >/root/before\n" + install + "10m"},
	} {
		if strings.Count(text, r[0]) != 1 {
			t.Fatalf("examples/cloud-init.yaml does not have %q once", r[0])
		}
		text = strings.Replace(text, r[0], r[1], 1)
	}
	return text
}

// build makes what the machine gets on its CD-ROM: the static program, and the
// tests of reconcile that need a kernel with ip6_tunnel.
func build(t *testing.T) map[string]string {
	dir := t.TempDir()
	program, tests, script := filepath.Join(dir, "mape-netplan"), filepath.Join(dir, "reconcile.test"), filepath.Join(dir, "look")
	if err := os.WriteFile(script, []byte(look), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"build", "-trimpath", "-ldflags", "-s -w", "-o", program, "."},
		{"test", "-c", "-trimpath", "-ldflags", "-s -w", "-o", tests, "../../reconcile/resource"},
	} {
		cmd := exec.Command("go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	return map[string]string{"mape-netplan": program, "reconcile.test": tests, "look": script}
}

// A guest is a machine under test and its surroundings.
type guest struct {
	*testing.T
	ctx     context.Context
	vm      *lab.VM
	network *lab.Network
}

// boot starts a machine on a dead line, which cloud-init configures, and waits
// for both.
func boot(t *testing.T, release string, files map[string]string) *guest {
	ctx, cancel := context.WithTimeout(t.Context(), 55*time.Minute)
	t.Cleanup(cancel)
	image, err := lab.BuildImage(ctx, release)
	if err != nil {
		t.Fatal(err)
	}
	network, err := lab.NewNetwork(lab.Announce{None: true}, ocnLine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { network.Close() })
	vm, err := lab.Boot(ctx, image, network, lab.Seed{
		UserData:      "\n" + userData(t),
		NetworkConfig: lab.ProxmoxNetwork(netip.MustParsePrefix("2400:4050:5c71:af00::5/64"), netip.Addr{}),
		Files:         files,
	})
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{t, ctx, vm, network}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("relay: %+v\nconsole:\n%s", network.Relay.Report(), vm.Console())
		}
		vm.Close()
	})
	if err := vm.WaitSSH(ctx); err != nil {
		t.Fatal(err)
	}
	g.cloudInit()
	return g
}

// cloudInit waits until cloud-init is done, which must have gone well.
func (g *guest) cloudInit() {
	g.Helper()
	result, err := g.vm.WaitCloudInit(g.ctx)
	if err != nil || !strings.Contains(result, `"errors": []`) {
		log, _, _, _ := g.vm.Run(g.ctx, "tail -40 /var/log/cloud-init-output.log")
		g.Fatalf("cloud-init: %v\n%s\n%s", err, result, log)
	}
}

// step runs a part of the test that reports under its own name. What follows
// builds on it, so a failure ends the whole test.
func (g *guest) step(name string, f func(*guest)) {
	g.Helper()
	begin, busy := time.Now(), g.vm.Busy()
	if !g.Run(name, func(t *testing.T) { f(&guest{t, g.ctx, g.vm, g.network}) }) {
		g.FailNow()
	}
	g.Logf("%s: %s, of which the machine computed %s", name, time.Since(begin).Round(time.Second), (g.vm.Busy() - busy).Round(time.Second))
}

// sh runs a command in the machine that has to succeed.
func (g *guest) sh(command string) string {
	g.Helper()
	out, exit := g.exits(command)
	if exit != 0 {
		g.Fatalf("%s: exit %d\n%s", command, exit, out)
	}
	return out
}

// exits runs a command in the machine and returns what it printed and its
// exit code.
func (g *guest) exits(command string) (string, int) {
	g.Helper()
	out, errs, exit, err := g.vm.Run(g.ctx, command)
	if err != nil {
		g.Fatal(err)
	}
	return out + errs, exit
}

// json runs a command in the machine and reads its standard output.
func (g *guest) json(command string, exit int, v any) {
	g.Helper()
	out, errs, got, err := g.vm.Run(g.ctx, command)
	if err == nil {
		err = json.Unmarshal([]byte(out), v)
	}
	if err != nil || got != exit {
		g.Fatalf("%s: exit %d, want %d: %v\n%s\n%s", command, got, exit, err, out, errs)
	}
}

// names runs plan or apply and returns which resources it names, sorted.
func (g *guest) names(command string, exit int) []string {
	g.Helper()
	var r result
	g.json("mape-netplan "+command+" --json", exit, &r)
	var names []string
	for _, c := range r.Changes {
		names = append(names, c.Name)
	}
	if r.Changed != (len(names) > 0) {
		g.Errorf("%s: changed is %v with %d changes", command, r.Changed, len(names))
	}
	slices.Sort(names)
	return names
}

// traffic uses the gateway from the LAN host in every way that people do.
func (g *guest) traffic() {
	g.Helper()
	server := lab.Servers[0]
	before := g.network.Relay.Report().Packets
	for _, network := range []string{"tcp4", "udp4"} {
		if err := g.echo(network, server+":7"); err != nil {
			g.Errorf("%s: %v", network, err)
		}
	}
	for _, args := range [][]string{
		{"ping", "-c", "3", "-i", "0.2", "-W", "5", server},
		{"ping", "-c", "1", "-W", "5", "-s", fmt.Sprint(g.network.Relay.MTU() - 28), "-M", "do", server},
		{"traceroute", "-n", "-q", "1", "-w", "5", server},
		// One probe at a time: of several echo requests that are the first of
		// their flow and arrive together, Linux's conntrack lets only one pass.
		{"traceroute", "-n", "-q", "1", "-w", "5", "-I", "-N", "1", server},
		{"traceroute", "-n", "-q", "1", "-w", "5", "-T", server},
	} {
		out, err := g.network.LAN.Output(g.ctx, args[0], args[1:]...)
		if err != nil {
			g.Errorf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
		if args[0] == "traceroute" && (!strings.Contains(out, lab.Gateway) || !strings.Contains(out, "100.64.0.1") || strings.Count(out, server) < 2 || strings.Contains(out, "*")) {
			g.Errorf("%s: a hop is missing\n%s", strings.Join(args, " "), out)
		}
	}
	if after := g.network.Relay.Report().Packets; after < before+20 {
		g.Errorf("only %d packets went through the relay", after-before)
	}
	g.judged()
}

// echo sends a line to a server that echoes and reads it back.
func (g *guest) echo(network, address string) error {
	conn, err := g.network.LAN.Dial(g.ctx, network, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	const text = "hello, world"
	if _, err := conn.Write([]byte(text)); err != nil {
		return err
	}
	buf := make([]byte, len(text))
	if _, err := conn.Read(buf); err != nil {
		return err
	}
	if string(buf) != text {
		return fmt.Errorf("echo says %q", buf)
	}
	return nil
}

// judged fails where a packet was wrong so far, or the judge has missed one.
func (g *guest) judged() {
	g.Helper()
	r := g.network.Relay.Report()
	if r.Packets == 0 || r.Wrong != 0 || r.DstOpt != 0 || r.SentBack != 0 || r.Answered != 0 || r.Missed != 0 {
		g.Errorf("the border relay judges: %+v", r)
	}
}
