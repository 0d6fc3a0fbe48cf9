package gateway_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/nft"
	"mape-netplan/schema"
)

// TestFaults holds what the program makes of machines that others have: testdata/faults/README.md. netplan accepts the
// files of each with ours where it accepts them without.
func TestFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := &archive.Files[len(archive.Files)-1]
			if want.Name != "outcome" {
				t.Fatal("the last file is not the outcome")
			}
			got := outcome(t, archive)
			if got == string(want.Data) {
				return
			}
			if !*hosttest.Update {
				t.Fatalf("got:\n%s\nwant:\n%s", got, want.Data)
			}
			want.Data = []byte(got)
			if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func outcome(t *testing.T, archive *txtar.Archive) string {
	var section, state string
	machine := &txtar.Archive{}
	for _, f := range archive.Files[:len(archive.Files)-1] {
		switch f.Name {
		case "etc/mape-netplan.yaml":
			section = string(f.Data)
		case "state.sh":
			state = string(f.Data)
		default:
			machine.Files = append(machine.Files, f)
		}
	}
	h, dir := hosttest.HostOf(t, string(txtar.Format(machine)))
	gather := facts.Gather
	if state != "" {
		n := live(t, h, state)
		gather = func(h *host.Host) (f facts.Facts, err error) {
			n.Do(func() { f, err = facts.Gather(h) })
			return f, err
		}
	}
	c, err := schema.Parse("/etc/mape-netplan.yaml", []byte(section))
	if err != nil {
		return err.Error() + "\n"
	}
	f, err := gather(h)
	if err != nil {
		t.Fatal(err)
	}
	f.Netplan = !strings.Contains(string(txtar.Format(machine)), "usr/lib/systemd/systemd-networkd")
	g, err := gatewaytest.Resolve(c, f)
	if err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	for _, w := range g.AllWarnings() {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	for _, l := range g.LinkConfigs {
		where, text := l.DropIn()
		fmt.Fprintf(&b, "%s %s:\n", l.Link, cmp.Or(where, netplan.Path))
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "#") {
				fmt.Fprint(&b, "\t"+line)
			}
		}
	}
	_, definitions, _ := strings.Cut(g.NetplanText(), "network:\n")
	definitions, _, _ = strings.Cut(definitions, "  tunnels:\n")
	b.WriteString(definitions)
	for _, generator := range hosttest.Generators(t) {
		_ = os.Remove(filepath.Join(dir, netplan.Path))
		if err := generator.Run(dir); err != nil {
			t.Fatal(err)
		}
		hosttest.WriteFile(t, filepath.Join(dir, netplan.Path), g.NetplanText())
		if err := generator.Run(dir); err != nil {
			t.Error(err)
		}
	}
	return b.String()
}

// live makes the host one of a namespace with wan0 and lan0, in the state that a shell script makes.
func live(t *testing.T, h *host.Host, script string) *hosttest.NS {
	t.Helper()
	n, others := hosttest.NewNS(t), hosttest.NewNS(t)
	hosttest.Veth(t, n, "wan0", "", others, "line", "")
	hosttest.Veth(t, n, "lan0", "", others, "lan", "")
	n.Exec(t, "sh", "-ec", script)
	handle, err := netlink.NewHandleAt(netns.NsHandle(n.FD()), unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(handle.Close)
	if h.Sys, err = os.OpenRoot("/proc/sys"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Sys.Close() })
	h.Net, h.NFT, h.NS = handle, nft.OpenNS(n.FD()), n.FD()
	return n
}
