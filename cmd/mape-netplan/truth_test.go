package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/doctor"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/ports"
	"mape-netplan/reconcile/watch"
)

// A bed is a machine of files in a directory and links in a namespace, on which the verbs and the service run in this
// process. A veth stands in for the tunnel, which is left out of what is compiled.
type bed struct {
	*testing.T
	dir, section string
	ns           int // the namespace of this thread
	stop         func()

	mu  sync.Mutex
	log []string
}

// newBed is a machine before the first run, without a line. The thread of the test stays in its namespace, and ends
// with it.
func newBed(t *testing.T, section string) *bed {
	t.Helper()
	needRoot(t)
	b := &bed{T: t, dir: t.TempDir()}
	b.section = filepath.Join(b.dir, "etc/mape-netplan.yaml")
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	b.ns = int(ns.Fd())
	b.sh(`mkdir -p $0/etc/netplan $0/etc/sysctl.d $0/etc/systemd/network $0/usr/sbin $0/run; : >$0/usr/sbin/netplan
		echo 'network: {ethernets: {eth0: {addresses: [192.168.1.5/24]}, eth1: {}}}' >$0/etc/netplan/50-cloud-init.yaml
		chmod 600 $0/etc/netplan/*
		ip link set lo up; ip link add mape0 type veth peer name away; ip link set mape0 mtu 1460 arp off up; ip link set away up
		ip link add eth0 type veth peer name lan; ip link add eth1 type veth peer name line
		echo 0 >/proc/sys/net/ipv6/conf/eth1/accept_dad
		for link in eth0 eth1 lan line; do ip link set $link up; done; ip address add 192.168.1.5/24 dev eth0
		until ip -6 address show dev eth1 | grep -q 'fe80.*link'; do sleep 0.01; done`)
	if err := os.WriteFile(b.section, []byte(section), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

// sh runs commands in the namespace; $0 is the machine's directory.
func (b *bed) sh(script string) string {
	b.Helper()
	out, err := exec.Command("sh", "-ec", script, b.dir).CombinedOutput()
	if err != nil {
		b.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

func (b *bed) options() *options {
	o := newOptions(nil)
	o.config, o.compile = b.section, func(g *gateway.Gateway, f facts.Facts) []engine.Resource { return withoutTunnel(gateway.Compile(g, f)) }
	o.watched = 0
	o.machine = func(string) (*host.Host, error) {
		h, err := host.OpenEarly()
		if err != nil {
			return nil, err
		}
		h.NS, h.NFT = b.ns, nft.OpenNS(b.ns)
		b.Cleanup(h.Net.Close)
		h.Root, err = os.OpenRoot(b.dir)
		return h, err
	}
	return o
}

func withoutTunnel(all []engine.Resource) []engine.Resource {
	return slices.DeleteFunc(all, func(r engine.Resource) bool { return r.Traits().Makes != "" })
}

// run is a verb with its exit code and what it printed.
func (b *bed) run(args ...string) (code int, out, errs string) {
	var stdout, stderr bytes.Buffer
	code = b.options().run(b.Context(), append(args, "-c", b.section), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// says holds a verb to its exit code and to texts of what it prints.
func (b *bed) says(code int, verb string, texts ...string) {
	b.Helper()
	got, out, errs := b.run(strings.Fields(verb)...)
	if got != code {
		b.Errorf("%s exits with %d, want %d:\n%s%s", verb, got, code, out, errs)
	}
	for _, text := range texts {
		if !strings.Contains(out+errs, text) {
			b.Errorf("%s does not say %q:\n%s%s", verb, text, out, errs)
		}
	}
}

// object reads what a verb prints with --json.
func (b *bed) object(verb string, v any) {
	b.Helper()
	_, out, errs := b.run(verb, "--json")
	if err := json.Unmarshal([]byte(out), v); err != nil {
		b.Fatalf("%s: %v\n%s%s", verb, err, out, errs)
	}
}

// serve starts the service.
func (b *bed) serve() {
	b.Helper()
	o := b.options()
	h, err := o.open()
	if err != nil {
		b.Fatal(err)
	}
	cmd := new(cobra.Command)
	cmd.SetContext(b.Context())
	w, err := o.watcher(cmd, h)
	if err != nil {
		b.Fatal(err)
	}
	w.Compile = func(order gateway.Transition, g *gateway.Gateway, f facts.Facts) []engine.Resource {
		return withoutTunnel(order.Compile(g, f))
	}
	w.Notify = func(string) {}
	w.Log = func(_ watch.Priority, text string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.log = append(b.log, text)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never back: Go ends the thread with the goroutine.
		err := unix.Setns(b.ns, unix.CLONE_NEWNET)
		if err == nil {
			err = w.Run(ctx)
		}
		done <- err
	}()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(b.stop)
}

// awaits waits until the service has said something since the last time.
func (b *bed) awaits(texts ...string) {
	b.Helper()
	var all string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		b.mu.Lock()
		all = strings.Join(b.log, "\n")
		b.mu.Unlock()
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(all, text) }) {
			b.mu.Lock()
			b.log = nil
			b.mu.Unlock()
			return
		}
	}
	b.Fatalf("the service does not say %q, but:\n%s", texts, all)
}

const (
	prefixA, ceA = "2400:4050:5c71:af00", "2400:4050:5c71:af00:99:f171:c600:2f00" // with port 1776, without 1792
	prefixB, ceB = "2400:4050:5c71:b000", "2400:4050:5c71:b000:99:f171:c600:3000" // the other way round
)

const twoForwards = `mape:
  forwards:
    - {port: 1776, to: 192.168.1.20, protocol: tcp}
    - {port: 1792, to: 192.168.1.21, protocol: tcp}
`

// TestOneTruth renumbers a line, and takes it away, under the service: status, plan, ports and doctor say what it does.
func TestOneTruth(t *testing.T) {
	b := newBed(t, twoForwards)
	b.sh("ip address add " + prefixA + "::5/64 dev eth1; ip -6 route add default via fe80::1 dev eth1")
	b.serve()
	b.awaits("mape.forwards[1].port: 1792 is not in the port set", "CE "+ceA, "changed in")

	b.sh("ip address add " + prefixB + "::5/64 dev eth1; ip address del " + prefixA + "::5/64 dev eth1")
	off := b.section + ":3:14: mape.forwards[0].port: 1776 is not in the port set of 153.241.113.198; the nearest free ones: 1793, 1794, 1795, 1796\n"
	works := "until the section is changed, the gateway works without that forward"
	b.awaits(off, works, "CE "+ceB, "changed in")
	if table := b.sh("nft list table ip mape"); strings.Contains(table, "192.168.1.20") || !strings.Contains(table, "192.168.1.21") {
		t.Errorf("the service has made\n%s", table)
	}
	b.says(0, "status", "warning: "+off, works, "CE               "+ceB)
	b.says(0, "plan", "warning: "+off, works, "warning: systemd-networkd is not running")
	b.says(0, "apply", "warning: "+off, works, "unchanged")
	b.says(0, "ports", "warning: "+off, works, "tcp 1776   192.168.1.20  off: not in the port set\n", "tcp 1792   192.168.1.21  0\n")
	b.off("forwards[0]")
	b.diagnosed(0, "", func(f doctor.Finding) bool {
		return (f.Check == "forwards") == (f.State == doctor.Warn && strings.Contains(f.Diagnosis, strings.TrimSpace(off)))
	})

	b.sh("ip -6 route del default; ip address del " + prefixB + "::5/64 dev eth1")
	held := "waiting: no interface has an IPv6 default route, so the WAN is not known"
	until := "; until then the last line is held: CE " + ceB + ", IPv4 153.241.113.198/32, tunnel mape0"
	b.awaits(held, until)
	b.says(0, "status", "warning: "+held, until, off)
	b.says(0, "plan", "warning: "+held, until, off)
	b.says(0, "ports", "warning: "+held, until, off)
	b.says(1, "apply --timeout 100ms", "waiting: no interface has an IPv6 default route")
	var view struct{ Held string }
	for _, verb := range []string{"status", "plan", "ports"} {
		if b.object(verb, &view); !strings.HasPrefix(view.Held, held) || !strings.HasSuffix(view.Held, until) {
			t.Errorf("%s --json says held: %q", verb, view.Held)
		}
	}
	b.off("forwards[0]")
	b.diagnosed(1, "the last line is held: CE "+ceB, nil)
}

// TestNoLine has neither a line nor one to hold.
func TestNoLine(t *testing.T) {
	b := newBed(t, twoForwards)
	b.serve()
	const why = "no interface has an IPv6 default route, so the WAN is not known"
	b.awaits("waiting: "+why, ": no earlier run has left a line to remember; changed in")
	for _, verb := range []string{"status", "plan", "ports"} {
		b.says(1, verb, "mape-netplan: "+why)
	}
	b.diagnosed(1, "No router advertisement has arrived", nil)
}

// TestWithdrawn: of a line that has withdrawn its service, plan and status show that the gateway goes, as it then does.
func TestWithdrawn(t *testing.T) {
	b := newBed(t, "mape: {wan: eth1, lan: eth0}\n")
	b.sh("ip address add " + prefixA + "::5/64 dev eth1; ip -6 route add default via fe80::1 dev eth1")
	b.says(0, "apply", "created table ip mape")
	b.sh(`echo 'mape: {wan: eth1, lan: eth0, provider: discover}' >$0/etc/mape-netplan.yaml; mkdir -p $0/var/lib/mape-netplan
		echo '{"problem": "it has none any more", "withdrawn": true, "lost": true, "asked": "'$(date -Is)'", "prefixes": ["` + prefixA + `::/64"]}' >$0/var/lib/mape-netplan/hb46pp.json`)
	const why = "the line has withdrawn its service, so the gateway is taken down: "
	b.says(1, "status", "BAD address "+ceA+" dev eth1: should not be there", "BAD table ip mape: should not be there", "warning: "+why)
	b.says(3, "plan", "-	chain postrouting", "warning: "+why, "it has none any more")
	var s struct {
		OK       bool
		Softwire struct{ Warnings []string }
	}
	if b.object("status", &s); s.OK || !strings.Contains(strings.Join(s.Softwire.Warnings, "\n"), why) {
		t.Errorf("status --json says %+v", s)
	}
	b.serve()
	b.awaits("no gateway: the line has withdrawn its service; changed in", "table ip mape")
	b.stop()
	b.says(1, "status", "warning: "+why)
	b.says(1, "plan", "mape-netplan: ")
	if out := b.sh("nft list tables; ip -6 address show dev eth1"); strings.Contains(out, "mape") || strings.Contains(out, ceA) {
		t.Errorf("there is\n%s", out)
	}
}

// off holds the objects of the verbs to the forward that is off.
func (b *bed) off(path string) {
	b.Helper()
	var view struct {
		Off      []struct{ Path string }
		Forwards []ports.ForwardUsage
	}
	for _, verb := range []string{"status", "plan", "ports"} {
		if b.object(verb, &view); len(view.Off) != 1 || view.Off[0].Path != "mape."+path+".port" {
			b.Errorf("%s --json says off: %v", verb, view.Off)
		}
	}
	for i, f := range view.Forwards {
		if f.Off != (fmt.Sprintf("forwards[%d]", i) == path) {
			b.Errorf("ports --json says %+v", view.Forwards)
		}
	}
}

// diagnosed holds the doctor to its exit code and to words of the diagnosis, and each finding to what it must be. With
// exit code 0 no check may be skipped for another.
func (b *bed) diagnosed(code int, words string, is func(doctor.Finding) bool) {
	b.Helper()
	var r doctor.Report
	b.object("doctor", &r)
	if r.OK != (code == 0) || !strings.Contains(r.Diagnosis, words) {
		b.Errorf("doctor says %s", r.Text())
	}
	for _, f := range r.Findings {
		if is != nil && !is(f) || code == 0 && strings.HasPrefix(f.Seen, "skipped: ") {
			b.Errorf("doctor finds %+v", f)
		}
	}
}

// TestFindsOnce: a verb finds the line once. What it recalls and supposes is counted apart.
func TestFindsOnce(t *testing.T) {
	b := newBed(t, twoForwards)
	b.sh("ip address add " + prefixA + "::5/64 dev eth1; ip -6 route add default via fe80::1 dev eth1")
	given := filepath.Join(b.dir, "given.yaml")
	if err := os.WriteFile(given, []byte(`mape: {wan: eth1, prefix: "`+prefixA+`::/56"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, section := range []string{b.section, given} {
		b.section = section
		for verb, want := range map[string]int64{"validate": 0, "compute": 1, "plan": 1, "apply": 1, "status": 1, "ports": 1, "doctor": 1, "guard": 0} {
			before := line.Counted()
			_, out, errs := b.run(verb)
			if got := line.Counted().Found - before.Found; got != want {
				t.Errorf("%s finds the line %d times, want %d:\n%s%s", verb, got, want, out, errs)
			}
		}
	}
	b.sh("ip -6 route del default; ip address del " + prefixA + "::5/64 dev eth1")
	for _, verb := range []string{"plan", "status", "ports", "doctor"} {
		before := line.Counted()
		b.run(verb)
		if after := line.Counted(); after.Found-before.Found != 1 {
			t.Errorf("%s finds a line that is away %d times", verb, after.Found-before.Found)
		}
	}
}

// TestWritableSection: no verb follows a section that others may write, and each says so in the same words.
func TestWritableSection(t *testing.T) {
	b := newBed(t, "mape: {}\n")
	b.sh("chmod 666 $0/etc/mape-netplan.yaml")
	why := b.section + ", which root follows, must be writable only by its owner: sudo chmod go-w " + b.section + "\n"
	for _, verb := range []string{"validate", "compute", "plan", "apply", "status", "ports", "doctor", "guard"} {
		code, out, errs := b.run(verb)
		switch verb {
		case "guard": // A machine with a bad section must not lose its guard.
			if code != 0 || errs != "warning: guarding without a section: "+why {
				t.Errorf("%s exits with %d:\n%s%s", verb, code, out, errs)
			}
		default:
			if code != exitBad || !strings.HasSuffix(errs, "mape-netplan: "+why) {
				t.Errorf("%s exits with %d:\n%s%s", verb, code, out, errs)
			}
		}
	}
}

// TestLastSection: what the service keeps in force while a section has a mistake, or lacks what the last one has, is what
// the verbs show, and they say why. remove leaves no copy of the last one.
func TestLastSection(t *testing.T) {
	b := newBed(t, "mape: {wan: eth1, lan: eth0}\n")
	b.sh("ip address add " + prefixA + "::5/64 dev eth1; ip -6 route add default via fe80::1 dev eth1")
	b.serve()
	b.awaits("CE "+ceA, "changed in")
	section := func(text string) {
		t.Helper()
		if err := os.WriteFile(b.section, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inForce := "CE " + ceA + ", IPv4 153.241.113.198/32, tunnel mape0"

	section("mape: {wan: eth0, lan: eth1}\n")
	why := "waiting: eth0 has no global IPv6 address yet, so the line's prefix is not known"
	held := "until then the last line is held: " + inForce
	b.awaits(why, held)
	for _, verb := range []string{"status", "plan", "ports"} {
		b.says(0, verb, "warning: "+why, held)
	}
	b.says(1, "apply --timeout 100ms", why[:len("waiting: eth0 has no global IPv6 address yet")])

	for text, wrong := range map[string]string{
		"mape: {wan: eth1, lna: eth0}\n":               ":1:19: mape: unknown key \"lna\"",
		"mape: {wan: eth9, lan: eth0}\n":               ":1:13: mape.wan: there is no interface eth9",
		"mape: {wan: eth1, lan: eth0, mtu: 1}\n":       "mape.mtu: ",
		"mape: {lan: eth1}\n":                          "eth1 is the WAN",
		"mape: {softwire: {}, prefix: 2001:db8::/56}}": "mape",
	} {
		section(text)
		b.awaits(wrong, "stays in force")
		b.says(2, "status", "ok  route default dev mape0", "the last good one stays in force: "+inForce, wrong)
		b.says(2, "plan", wrong)
		b.says(2, "apply --timeout 10s", wrong)
	}
	b.sh("nft flush ruleset; mv $0/etc/mape-netplan.yaml $0/bad")
	b.awaits("restored table ip mape")
	b.stop()
	b.sh("mv $0/bad $0/etc/mape-netplan.yaml; nft flush ruleset")
	// guard opens the machine itself; what it loads is tested with the service.
	b.says(0, "remove", "removed file /var/lib/mape-netplan/section.yaml")
	if out := b.sh("find $0/var"); strings.Contains(out, "section.yaml") {
		t.Errorf("remove leaves %s", out)
	}
}
