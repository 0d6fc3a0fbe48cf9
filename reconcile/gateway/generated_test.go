package gateway_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/resource"
)

// TestNetplanAccepts feeds our file, together with the one that defines the interfaces, to netplan's own generator: it
// takes it without a word, and networkd's files say what was meant.
func TestNetplanAccepts(t *testing.T) {
	i := slices.IndexFunc(netplan.Generators, func(g string) bool { _, err := os.Stat(g); return err == nil })
	if i < 0 {
		hosttest.Unable(t, "netplan's generator is not installed")
	}
	tunnel := []string{
		"10-netplan-mape0.netdev: Name=mape0", "10-netplan-mape0.netdev: MTUBytes=1460", "10-netplan-mape0.netdev: Mode=ipip6",
		"10-netplan-mape0.netdev: Local=" + gatewaytest.CeOfLine, "10-netplan-mape0.netdev: Remote=2001:380:a120::9",
		"10-netplan-mape0.network: LinkLocalAddressing=no", "10-netplan-mape0.network: Destination=0.0.0.0/0", "10-netplan-mape0.network: Scope=link",
	}
	for _, test := range []struct {
		name, wan, lan, files string
		want                  []string
	}{
		{"plain", "eth1", "eth0", "ethernets: {eth0: {addresses: [192.168.1.5/24]}, eth1: {}}", []string{
			"10-netplan-eth0.network: IPv6AcceptRA=no", "10-netplan-eth0.network: Address=192.168.1.5/24", "10-netplan-eth1.network: Address=" + gatewaytest.CeOfLine + "/128"}},
		{"match and set-name", "eth1", "eth0", `ethernets: {home: {match: {macaddress: "bc:24:11:00:00:01"}, set-name: eth0}, line: {match: {macaddress: "bc:24:11:00:00:02"}, set-name: eth1}}`, []string{
			"10-netplan-home.network: IPv6AcceptRA=no", "10-netplan-line.network: Address=" + gatewaytest.CeOfLine + "/128"}},
		{"match by MAC address", "enp2s0", "enp1s0", `ethernets: {home: {match: {macaddress: "bc:24:11:00:00:01"}}, line: {match: {macaddress: "bc:24:11:00:00:02"}}}`, []string{
			"10-netplan-home.network: IPv6AcceptRA=no", "10-netplan-line.network: Address=" + gatewaytest.CeOfLine + "/128"}},
		{"bridges", "br1", "br0", "ethernets: {eth0: {}, eth1: {}}\n  bridges: {br0: {interfaces: [eth0]}, br1: {interfaces: [eth1]}}", []string{
			"10-netplan-br0.network: IPv6AcceptRA=no", "10-netplan-br1.network: Address=" + gatewaytest.CeOfLine + "/128", "10-netplan-eth1.network: Bridge=br1"}},
		{"VLANs", "eth0.20", "eth0.10", "ethernets: {eth0: {}}\n  vlans: {eth0.10: {id: 10, link: eth0}, eth0.20: {id: 20, link: eth0}}", []string{
			"10-netplan-eth0.10.network: IPv6AcceptRA=no", "10-netplan-eth0.20.network: Address=" + gatewaytest.CeOfLine + "/128"}},
		{"bond", "bond0", "eth0", "ethernets: {eth0: {}, eth1: {}, eth2: {}}\n  bonds: {bond0: {interfaces: [eth1, eth2]}}", []string{
			"10-netplan-eth0.network: IPv6AcceptRA=no", "10-netplan-bond0.network: Address=" + gatewaytest.CeOfLine + "/128"}},
		{"addresses of its own", "eth1", "eth0", `ethernets: {eth0: {accept-ra: true}, eth1: {addresses: ["2400:4050:5c71:af00::5/64"], routes: [{to: default, via: "fe80::1"}]}}`, []string{
			"10-netplan-eth0.network: IPv6AcceptRA=no", "10-netplan-eth1.network: Address=" + gatewaytest.CeOfLine + "/128", "10-netplan-eth1.network: Address=2400:4050:5c71:af00::5/64", "10-netplan-eth1.network: Gateway=fe80::1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			const path = "/etc/netplan/50-cloud-init.yaml"
			f := gatewaytest.FactsOf(t, "-- "+path+" --\nnetwork:\n  version: 2\n  "+test.files+"\n", gatewaytest.LinksOf(t, strings.ReplaceAll(gatewaytest.KernelLinks, `, "mtu": 1500}`+"\n]",
				`, "mtu": 1500}, {"name": "eth0"}, {"name": "eth1"}, {"name": "eth0.10"}, {"name": "eth0.20"}, {"name": "br1"}, {"name": "bond0"}]`)))
			f.Netplan = true
			g := gatewaytest.MustResolve(t, "{mtu: 1460, prefix: '2400:4050:5c71:af00::/56', wan: "+test.wan+", lan: "+test.lan+"}", f)
			dir := t.TempDir()
			hosttest.WriteFile(t, dir+path, "network:\n  version: 2\n  "+test.files+"\n")
			hosttest.WriteFile(t, dir+netplan.Path, g.NetplanText())
			if out, err := exec.Command(netplan.Generators[i], "--root-dir", dir).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("netplan says %s %v", out, err)
			}
			var got []string
			units, err := filepath.Glob(dir + "/run/systemd/network/*")
			if err != nil {
				t.Fatal(err)
			}
			for _, unit := range units {
				data, err := os.ReadFile(unit)
				if err != nil {
					t.Fatal(err)
				}
				for line := range strings.Lines(string(data)) {
					got = append(got, filepath.Base(unit)+": "+strings.TrimSpace(line))
				}
			}
			for _, p := range g.LinkConfigs {
				path, text := p.DropIn()
				for line := range strings.Lines(text) {
					got = append(got, strings.TrimSuffix(filepath.Base(filepath.Dir(path)), ".d")+": "+strings.TrimSpace(line))
				}
			}
			for _, want := range append(test.want, tunnel...) {
				if !slices.Contains(got, want) {
					t.Errorf("%q is not in\n%s", want, strings.Join(got, "\n"))
				}
			}
			// What Compile waits for is what the generator writes.
			for _, s := range gateway.Generated(g, f) {
				if !slices.Contains(got, strings.TrimSpace(s.String())) {
					t.Errorf("Compile waits for %s", s)
				}
			}
		})
	}
}

// TestGeneratedAnew: what netplan has generated of our file is out of date as soon as anything of the tunnel changes,
// the kernel's own link being right or not.
func TestGeneratedAnew(t *testing.T) {
	f := facts.Example()
	const section = "prefix: '2400:4050:5c71:af00::/56'"
	g := gatewaytest.MustResolve(t, "{mtu: 1460, "+section+"}", f)
	files := map[string]string{}
	for _, s := range gateway.Generated(g, f) {
		files[s.File] += s.Line + "\n"
	}
	var archive strings.Builder
	for name, lines := range files {
		fmt.Fprintf(&archive, "-- %s/%s --\n[Any]\n%s", strings.TrimPrefix(networkd.GeneratedDir, "/"), name, lines)
	}
	h, _ := hosttest.HostOf(t, archive.String())
	elsewhere := netip.MustParseAddr("2001:db8::1")
	for what, change := range map[string]func(*gateway.Gateway){
		"":       func(*gateway.Gateway) {},
		"mtu":    func(g *gateway.Gateway) { g.Tunnel.MTU = 1400 },
		"local":  func(g *gateway.Gateway) { g.Tunnel.Local = elsewhere },
		"remote": func(g *gateway.Gateway) { g.Tunnel.Remote = elsewhere },
		"name":   func(g *gateway.Gateway) { g.Tunnel.Link = "other" },
	} {
		changed := *g
		change(&changed)
		want := resource.Generated{Settings: gateway.Generated(&changed, f), Present: true}
		live, err := want.Read(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		if differs := live.Text() != want.Text(); differs != (what != "") {
			t.Errorf("changed %q: differs %v; generated is\n%s\nwanted is\n%s", what, differs, live.Text(), want.Text())
		}
	}
}

// TestToldAnew: networkd is told of a changed tunnel by its own files, too, not only netplan's generator.
func TestToldAnew(t *testing.T) {
	m := gatewaytest.NewMachine(t)
	m.Exec(t, "ip", "link", "add", "mape0", "type", "bridge")
	m.Do(func() {
		link, err := kernel.LinkByName(m.H, "mape0")
		if err != nil {
			t.Fatal(err)
		}
		hosttest.WriteFile(t, filepath.Join(m.Dir, "run/systemd/netif/links", fmt.Sprint(link.Attrs().Index)), "NETWORK_FILE="+networkd.NetworkPath+"\n")
	})
	f := facts.Example()
	f.Netplan = false
	const section = "{prefix: '2400:4050:5c71:af00::/56', backend: networkd, mtu: %d}"
	hosttest.WriteFile(t, filepath.Join(m.Dir, networkd.NetdevPath), networkd.RenderNetdev(gatewaytest.MustResolve(t, fmt.Sprintf(section, 1460), f).Tunnel))
	for mtu, told := range map[int]bool{1460: false, 1400: true} {
		want := gateway.Compile(gatewaytest.MustResolve(t, fmt.Sprintf(section, mtu), f), f)
		is := func(r engine.Resource) bool { return r.Name() == "networkd mape0" }
		want = slices.DeleteFunc(want, func(r engine.Resource) bool { return !is(r) })
		if changes := m.Plan(t, want); len(want) != 1 || (len(changes) == 1) != told {
			t.Errorf("mtu %d: %v of %v", mtu, hosttest.Texts(changes), want)
		}
	}
}
