package gateway_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
)

// TestManager refuses links that something other than networkd configures, and no others.
func TestManager(t *testing.T) {
	const (
		netplan   = "-- etc/netplan/a.yaml --\nnetwork: {ethernets: {eth0: {}, eth1: {}}}\n"
		networkd  = "-- etc/systemd/network/a.network --\n[Match]\nName=eth1\n-- etc/systemd/network/b.network --\n[Match]\nName=eth0\n"
		booted    = "-- run/systemd/system/README --\n"
		enabled   = "-- etc/systemd/system/multi-user.target.wants/systemd-networkd.service --\n"
		stanzas   = "-- etc/network/interfaces --\nauto lo eth1\niface lo inet loopback\n# iface eth7 inet manual\niface eth1 inet6 auto\n"
		unit      = "-- usr/lib/systemd/system/networking.service --\n"
		inUse     = unit + "-- etc/systemd/system/network-online.target.wants/networking.service -> /lib/systemd/system/networking.service --\n-- lib -> usr/lib --\n"
		ifupdown  = stanzas + inUse
		state     = "-- run/NetworkManager/devices/WAN --\n[device]\nmanaged=true\nconnection-uuid=1\n"
		runs      = "-- run/systemd/units/invocation:NetworkManager.service -> 0123456789abcdef --\n"
		managed   = state + runs
		unmanaged = runs + "-- run/NetworkManager/devices/WAN --\n[device]\nmanaged=false\n"
		other     = "-- run/NetworkManager/devices/9 --\n[device]\nmanaged=true\n"
	)
	for _, test := range []struct {
		name, files string
		want        string // how the error begins; "" for none
	}{
		{"netplan", netplan, ""},
		{"networkd alone", networkd, ""},
		{"leftovers of ifupdown beside netplan", netplan + ifupdown, ""},
		{"leftovers of ifupdown beside networkd", networkd + ifupdown, ""},
		{"NetworkManager's state beside netplan", netplan + managed, ""},
		{"nothing known", "", ""},
		{"ifupdown", ifupdown, "ifupdown configures eth1, "},
		{"ifupdown for the LAN", inUse + "-- etc/network/interfaces --\nallow-hotplug eth0\nsource /etc/network/*.d/*.cfg\n-- etc/network/x.d/lan.cfg --\niface eth0 inet dhcp\n", "ifupdown configures eth0, "},
		{"ifupdown that includes itself", inUse + "-- etc/network/interfaces --\nsource interfaces\nauto /eth*\niface eth1 inet dhcp\n", "ifupdown configures eth1, "},
		{"ifupdown from a directory", inUse + "-- etc/network/interfaces --\nsource-directory x.d\n-- etc/network/x.d/wan_1 --\nauto eth1\niface eth1\n", "ifupdown configures eth1, "},
		{"a copy that ifupdown leaves out of a directory", inUse + "-- etc/network/interfaces --\nsource-directory x.d\n-- etc/network/x.d/wan.dpkg-old --\nauto eth1\niface eth1 inet dhcp\n", ""},
		{"ifupdown for others", inUse + "-- etc/network/interfaces --\nauto eth7\niface eth7 inet dhcp\n", ""},
		{"a stanza that nothing brings up", inUse + "-- etc/network/interfaces --\nauto lo\niface eth1 inet6 auto\n", ""},
		{"a stanza that does nothing", inUse + "-- etc/network/interfaces --\nauto eth1\niface eth1 inet manual\n", ""},
		{"a stanza of two that does nothing", inUse + "-- etc/network/interfaces --\nauto eth1\niface eth1 inet manual\niface eth1 inet6 auto\n", "ifupdown configures eth1, "},
		{"ifupdown was removed", stanzas + strings.TrimPrefix(inUse, unit), ""},
		{"ifupdown was never there", stanzas, ""},
		{"ifupdown is disabled", stanzas + unit, ""},
		{"ifupdown is masked", ifupdown + "-- etc/systemd/system/networking.service -> /dev/null --\n", ""},
		{"NetworkManager", managed, "NetworkManager configures eth1, "},
		{"NetworkManager leaves it alone", unmanaged + other, ""},
		{"NetworkManager was stopped", state, ""},
		{"networkd at the next boot", booted + enabled, ""},
		{"netplan enables networkd", booted + netplan + "-- usr/sbin/netplan --\n", ""},
		{"networkd at no boot", booted + networkd, "systemd-networkd neither runs nor starts at boot, "},
		{"NetworkManager despite networkd's files", booted + networkd + managed, "NetworkManager configures eth1, "},
		{"ifupdown despite networkd's files", booted + networkd + ifupdown, "ifupdown configures eth1, "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := gatewaytest.NewMachine(t)
			g.Exec(t, "sh", "-ec", "rm -r $0/etc/netplan $0/usr; ip address add "+gatewaytest.LineAddress+" dev eth1", g.Dir)
			index := strings.TrimSpace(g.Exec(t, "sh", "-c", "ip -o link show eth1 | cut -d: -f1"))
			for _, f := range txtar.Parse([]byte(strings.ReplaceAll(test.files, "WAN", index))).Files {
				name, target, link := strings.Cut(f.Name, " -> ")
				if !link {
					hosttest.WriteFile(t, filepath.Join(g.Dir, name), string(f.Data))
					continue
				}
				g.Exec(t, "sh", "-ec", `mkdir -p "$(dirname "$0")"; ln -s "$1" "$0"`, filepath.Join(g.Dir, name), target)
			}
			_, err := gatewaytest.Resolve(gatewaytest.SectionOf(t, "{wan: eth1, lan: eth0}"), g.Gather(t))
			if is := errors.As(err, new(gateway.NotNetworkd)); is != (test.want != "") || is && !strings.HasPrefix(err.Error(), test.want) || !is && err != nil {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}
