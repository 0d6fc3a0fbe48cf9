package gateway_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/netplan"
)

// TestRenderer refuses what netplan leaves to NetworkManager, as netplan's own generator does.
func TestRenderer(t *testing.T) {
	generator := slices.IndexFunc(netplan.Generators, func(g string) bool { _, err := os.Stat(g); return err == nil })
	if generator < 0 {
		hosttest.Unable(t, "netplan's generator is not installed")
	}
	const networkd = "WAN and LAN by networkd"
	for _, test := range []struct{ name, files, want string }{ // The link; "mape0" is everything.
		{"none", "-- etc/netplan/a.yaml --\nnetwork: {ethernets: {eth0: {}, eth1: {}}}\n", networkd},
		{"networkd", "-- etc/netplan/a.yaml --\nnetwork: {renderer: networkd, ethernets: {eth0: {}, eth1: {}}}\n", networkd},
		{"of all", "-- etc/netplan/a.yaml --\nnetwork: {renderer: NetworkManager, ethernets: {eth0: {}, eth1: {}}}\n", "mape0"},
		{"of all but WAN and LAN", "-- etc/netplan/a.yaml --\nnetwork: {renderer: NetworkManager, ethernets: {renderer: networkd, eth0: {}, eth1: {}}}\n", "mape0"},
		{"of all, by a later file", "-- etc/netplan/a.yaml --\nnetwork: {ethernets: {eth0: {}, eth1: {}}}\n-- etc/netplan/b.yaml --\nnetwork: {renderer: NetworkManager}\n", "mape0"},
		{"of all, until a later file", "-- etc/netplan/a.yaml --\nnetwork: {renderer: NetworkManager}\n-- etc/netplan/b.yaml --\nnetwork: {renderer: networkd, ethernets: {eth0: {}, eth1: {}}}\n", networkd},
		{"of the WAN", "-- etc/netplan/a.yaml --\nnetwork: {ethernets: {eth0: {}, eth1: {renderer: NetworkManager}}}\n", "eth1"},
		{"of the LAN", "-- etc/netplan/a.yaml --\nnetwork: {ethernets: {eth0: {renderer: NetworkManager}, eth1: {}}}\n", "eth0"},
		{"of a section", "-- etc/netplan/a.yaml --\nnetwork: {ethernets: {renderer: NetworkManager, eth0: {renderer: networkd}, eth1: {}}}\n", "eth1"},
		{"of a later section", "-- etc/netplan/a.yaml --\nnetwork: {ethernets: {eth0: {}, eth1: {}}}\n-- etc/netplan/b.yaml --\nnetwork: {ethernets: {renderer: NetworkManager, eth1: {}, eth2: {}}}\n", networkd},
		{"of others", "-- etc/netplan/a.yaml --\nnetwork: {ethernets: {eth0: {}, eth1: {}, eth2: {renderer: NetworkManager}}}\n", networkd},
	} {
		t.Run(test.name, func(t *testing.T) {
			facts := gatewaytest.Lines(gatewaytest.Inet("2400:4050:5c71:af00::5/64"))
			f := gatewaytest.FactsOf(t, test.files, facts.Links)
			f.Netplan = true
			_, err := gatewaytest.Resolve(gatewaytest.SectionOf(t, "{}"), f)
			got, wrong := networkd, new(gateway.WrongRenderer)
			if errors.As(err, wrong) {
				if got = wrong.Link; got == "" {
					got = "mape0"
				}
				err = nil
			}
			if err != nil || got != test.want {
				t.Errorf("got %s, %v; want %s", got, err, test.want)
			}
			if _, err := gatewaytest.Resolve(gatewaytest.SectionOf(t, "{backend: networkd}"), f); err != nil {
				t.Errorf("without netplan: %v", err)
			}

			_, dir := hosttest.HostOf(t, test.files+"-- etc/netplan/99-ipoe-gw.yaml --\nnetwork: {tunnels: {mape0: {mode: ipip6, local: '2001:db8::1', remote: '2001:db8::2'}}}\n")
			if out, err := exec.Command(netplan.Generators[generator], "--root-dir", dir).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			for _, link := range []string{"mape0", "eth1", "eth0"} {
				if _, err := os.Stat(filepath.Join(dir, "run/NetworkManager/system-connections/netplan-"+link+".nmconnection")); err == nil {
					if link != test.want {
						t.Errorf("netplan leaves %s to NetworkManager; want %s", link, test.want)
					}
					return
				}
			}
			if test.want != networkd {
				t.Errorf("netplan leaves none of them to NetworkManager; want %s", test.want)
			}
		})
	}
}
