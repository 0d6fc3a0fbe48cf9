package doctor

import (
	"os"
	"path/filepath"
	"testing"

	"mape-netplan/reconcile"
	"mape-netplan/reconcile/firewall/ruleset"
)

// below is an examination of a directory with these files, which has no kernel but a release.
func below(t *testing.T, files map[string]string) *examination {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("proc/sys/kernel/osrelease", "6.1.0-test\n")
	for name, text := range files {
		write(name, text)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	sys, err := root.OpenRoot("proc/sys")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close(); sys.Close() })
	return &examination{h: &reconcile.Host{Root: root, Sys: sys}}
}

// TestModule looks for the tunnel's module where the kernel, or its package, says that it is.
func TestModule(t *testing.T) {
	const dep = "lib/modules/6.1.0-test/modules.dep"
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"loaded", map[string]string{"sys/module/ip6_tunnel/refcnt": "0", dep: ""}, "yes"},
		{"to be loaded", map[string]string{dep: "kernel/net/ipv6/ip6_tunnel.ko.xz: kernel/net/ipv6/tunnel6.ko.xz\n"}, "yes"},
		{"built in", map[string]string{dep: "", "lib/modules/6.1.0-test/modules.builtin": "kernel/net/ipv6/ip6_tunnel.ko\n"}, "yes"},
		{"none", map[string]string{dep: "kernel/net/ipv4/ip_tunnel.ko:\n"}, "no"},
		{"of another kernel", map[string]string{"lib/modules/6.2.0/modules.dep": ""}, ""},
		{"a container", nil, ""},
	} {
		if got := below(t, test.files).module(); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestDiagnoseSetup is TestDiagnose for machines on which nothing has been set up.
func TestDiagnoseSetup(t *testing.T) {
	diagnose(t, []ailment{
		{"nothing yet", (*patient).bare, "setup", Bad, "has not been made its gateway yet", "mape-netplan install"},
		{"nothing yet, a duplicate", func(p *patient) {
			p.bare()
			p.s.Differences[0].Before = "inet6 x\ndadfailed: another host on the link has this address\n"
		}, "CE address", Bad, "Another router … already has the CE address", "Switch off the other"},
		{"nothing yet, another's mape0", func(p *patient) {
			p.bare()
			p.s.Tunnel = &Tunnel{EncapLimit: -1, MTU: 1500}
			p.s.Differences = append(p.s.Differences, Difference{Name: "tunnel mape0", Error: "an interface of that name and of kind veth is there already; give the tunnel another name with mape.tunnel"})
		}, "setup", Bad, "mape0 cannot be made or mended: an interface of that name and of kind veth is there already.", "another name … mape-netplan install"},
		{"nothing yet, a rival", func(p *patient) {
			p.bare()
			p.f.Links[0].Default4, p.f.Links = new(int), p.f.Links[:2]
		}, "setup", Bad, "Another IPv4 default route wins … eth0", "metric of 100 … mape-netplan install"},
		{"nothing yet, another's file", func(p *patient) {
			p.bare()
			p.s.Differences = append(p.s.Differences, Difference{Name: "file /etc/netplan/99-ipoe-gw.yaml", Error: "was not written by mape-netplan; move it away first"})
		}, "setup", Bad, "refuses: file /etc/netplan/99-ipoe-gw.yaml was not written by mape-netplan", "mape-netplan install"},
		{"nothing yet, no module", func(p *patient) { p.bare(); p.s.Module = "no" }, "setup", Bad, "no module ip6_tunnel", "modprobe"},
		{"nothing yet, perhaps no module", func(p *patient) { p.bare(); p.s.Module = "" }, "setup", Bad, "has not been made its gateway yet", "mape-netplan install … If that says that the kernel has no ip6_tunnel … sudo modprobe ip6_tunnel … on its host"},
		{"nothing yet, run from /tmp", func(p *patient) {
			p.bare()
			p.s.Refusal = "the units could not run /tmp/mape-netplan: they see nothing below /tmp, or not at every boot; install it first: sudo install -m 755 /tmp/mape-netplan /usr/local/bin/mape-netplan, and run that"
		}, "setup", Bad, "install would refuse: the units could not run /tmp/mape-netplan … sudo install -m 755", "Do what it says there; then type \"sudo mape-netplan install\"."},
		{"nothing yet, no systemd", func(p *patient) {
			p.bare()
			p.f.Networkd, p.s.NoSystemd = false, "systemd does not run this machine"
		}, "setup", Bad, "the service cannot be: systemd does not run this machine.", "systemd as its init … eth1 … mape-netplan install"},
		{"nothing yet, no answer of systemd", func(p *patient) {
			p.bare()
			p.f.Networkd, p.s.Units, p.s.NoSystemd = false, nil, "unit mape-netplan.service: systemd does not answer: dial unix /run/systemd/private: connect: no such file or directory"
		}, "setup", Bad, "the service cannot be: unit mape-netplan.service: systemd does not answer", "systemd as its init"},
		{"nothing yet, no networkd", func(p *patient) { p.bare(); p.f.Networkd = false }, "setup", Bad, "systemd-networkd … does not run", "enable --now systemd-networkd … mape-netplan install"},
		{"nothing yet, a firewall", func(p *patient) {
			p.bare()
			p.f.Foreign.Chains = []ruleset.Chain{{Family: "inet", Table: "filter", Name: "forward", Type: "filter", Hook: "forward", Drop: true}}
		}, "setup", Bad, "Another firewall … table inet filter, chain forward", "Then type \"sudo mape-netplan install\""},
	})
}
