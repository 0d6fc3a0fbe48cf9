package watch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mape-netplan/reconcile"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/resource"
)

// onLine gives the machine its line: an address and a router.
const onLine = "ip address add " + gatewaytest.LineAddress + " dev eth1; ip -6 route add default via fe80::1 dev eth1"

// boot is what a boot leaves of the kernel's part: the line, and nothing of a gateway.
const boot = "nft flush ruleset; ip route del default dev mape0; ip address del " + gatewaytest.CeOfLine + "/128 dev eth1; echo 0 >/proc/sys/net/ipv4/ip_forward"

// TestWatchBootsBesideAMistake: a section with a mistake at boot leaves the last good one in force, and a corrected one
// takes over at once.
func TestWatchBootsBesideAMistake(t *testing.T) {
	for what, text := range map[string]string{
		"an unknown key":         "mape: {wan: eth1, lna: eth0}\n",
		"a value that is none":   "mape: {wan: eth1, mtu: lots}\n",
		"no YAML":                "mape: {wan: eth1\n",
		"an empty file":          "",
		"another program's file": "network: {}\n",
		"an interface of no one": "mape: {wan: eth9, lan: eth0}\n",
		"the WAN as the LAN":     "mape: {wan: eth1, lan: eth1}\n",
		"a forward to no host":   "mape: {wan: eth1, lan: eth0, forwards: [{port: 1776, to: 192.168.1.255}]}\n",
		"a prefix of no rule":    "mape: {wan: eth1, lan: eth0, prefix: '2001:db8::/56'}\n",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			g := newMachine(t)
			g.Exec(t, "sh", "-ec", onLine)
			first := startService(t, g, gatewaytest.Auto)
			first.says(t, "CE "+gatewaytest.CeOfLine, "changed in")
			first.looks(t)
			first.stop()
			g.Exec(t, "sh", "-ec", boot)
			g.Do(func() {
				if guard, made, err := reconcile.NewRun(g.H).PutGuard(t.Context(), nil); err != nil || !made || guard.Why != nil || guard.Line.Softwire.CE().String() != gatewaytest.CeOfLine {
					t.Errorf("the guard is %+v, %v", guard, err)
				}
			})
			w := startService(t, g, text)
			w.says(t, "<3>", "the last good", "stays in force")
			w.says(t, "CE "+gatewaytest.CeOfLine, "changed in", "route default dev mape0")
			w.await(t, "the state names it", func() bool { return strings.Contains(w.status(), "tunnel mape0; ") })
			w.section(t, "{wan: eth1, lan: eth0, mtu: 1400}")
			w.says(t, "CE "+gatewaytest.CeOfLine, "changed in", "file /etc/netplan/99-ipoe-gw.yaml")
			w.looks(t)
			if copy, err := os.ReadFile(filepath.Join(g.Dir, facts.SectionPath)); err != nil || !strings.Contains(string(copy), "1400") {
				t.Errorf("the copy is %s, %v", copy, err)
			}
		})
	}
}

// TestWatchKeepsOffTheWorse: a section that lacks what the last one has does not end what works; the log says why, and it
// takes over when it has it.
func TestWatchKeepsOffTheWorse(t *testing.T) {
	moved := "ip -6 route del default; ip address add " + gatewaytest.OtherAddress + " dev eth0; ip -6 route add default via fe80::1 dev eth0"
	for _, test := range []struct{ what, section, says, has, takes string }{
		{"WAN and LAN swapped", "{wan: eth0, lan: eth1}", "eth0 has no global IPv6 address yet", moved, "CE " + gatewaytest.CeOfOther},
		{"swapped, with the line's prefix", "{wan: eth0, lan: eth1, prefix: '2400:4050:5c71:af00::/56'}", "eth0 has no IPv6 default route: no router announces itself there",
			"ip -6 route del default; ip address add 2400:4050:5c71:af00::6/64 dev eth0; ip -6 route add default via fe80::1 dev eth0", "CE " + gatewaytest.CeOfLine},
		{"another interface", "{wan: eth0}", "eth0 has no global IPv6 address yet", moved, "CE " + gatewaytest.CeOfOther},
		{"the WAN as the LAN", "{lan: eth1}", "eth1 is the WAN", moved, "CE " + gatewaytest.CeOfOther},
		{"another line's prefix", "{wan: eth1, lan: eth0, prefix: '2400:4050:5c71:b000::/56'}", "no address of eth1 is in 2400:4050:5c71:b000::/56",
			"ip address add " + gatewaytest.OtherAddress + " dev eth1", "CE " + gatewaytest.CeOfOther},
		{"another line's softwire", "{wan: eth1, lan: eth0, softwire: {ce: '2400:4050:5c71:b000:99:f171:c600:3000', br: '2001:380:a120::9', ipv4: 153.241.113.198, psid: 48, psid-len: 6, psid-offset: 6}}",
			"no address of eth1 is in 2400:4050:5c71:b000::/56", "ip address add " + gatewaytest.OtherAddress + " dev eth1", "CE " + gatewaytest.CeOfOther},
		{"another provider", "{wan: eth1, lan: eth0, provider: biglobe}", "biglobe", "", ""},
		{"a delegated prefix, which there is not", "{wan: eth1, lan: eth0, wan-prefix: pd}", "no prefix has been delegated to eth1 yet", "", ""},
		{"and another provider", "{wan: eth1, lan: eth0, wan-prefix: pd, provider: biglobe}", "no prefix has been delegated to eth1 yet", "", ""},
		{"and another interface", "{wan: eth0, lan: eth1, wan-prefix: pd}", "no prefix has been delegated to eth0 yet", "", ""},
		{"and a given one", "{wan: eth0, lan: eth1, wan-prefix: pd, prefix: '2400:4050:5c71:b000::/56'}", "eth0 has no IPv6 default route", "", ""},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			g := newMachine(t)
			g.Exec(t, "sh", "-ec", onLine)
			w := startService(t, g, gatewaytest.Auto)
			w.says(t, "CE "+gatewaytest.CeOfLine, "changed in")
			w.looks(t)
			for _, when := range []string{"while it runs", "at boot"} {
				w.forget()
				w.section(t, test.section)
				if when == "at boot" {
					w.stop()
					g.Exec(t, "sh", "-ec", boot)
					w = startService(t, g, test.section)
					w.says(t, "CE "+gatewaytest.CeOfLine, "changed in")
				}
				w.says(t, test.says)
				w.looks(t)
				out := w.Exec(t, "sh", "-c", "ip -o -6 address show; ip route; cat "+w.Dir+"/etc/netplan/99-ipoe-gw.yaml")
				if !strings.Contains(out, "eth1    inet6 "+gatewaytest.CeOfLine) || !strings.Contains(out, "default dev mape0") || strings.Contains(out, "eth0    inet6 "+gatewaytest.CeOfLine) ||
					strings.Contains(out, gatewaytest.CeOfOther) {
					t.Errorf("%s there is\n%s", when, out)
				}
				if strings.Contains(test.section, "pd") && !strings.Contains(w.Exec(t, "sh", "-c", "cat "+w.Dir+"/etc/systemd/network/*/50-mape.conf"), "UseDelegatedPrefix=") {
					t.Errorf("%s the prefix is not requested", when)
				}
				w.await(t, "the state says why", func() bool { return strings.Contains(w.status(), test.says) })
			}
			if test.has == "" {
				return
			}
			w.forget()
			w.Exec(t, "sh", "-ec", test.has)
			w.says(t, test.takes, "changed in")
		})
	}
}

// TestWatchCopy: the copy of the section is root's alone to read and write, and one that others could have written is not
// followed.
func TestWatchCopy(t *testing.T) {
	t.Parallel()
	g := newMachine(t)
	g.Exec(t, "sh", "-ec", onLine)
	w := startService(t, g, gatewaytest.Auto)
	w.says(t, "CE "+gatewaytest.CeOfLine, "changed in")
	w.looks(t)
	w.stop()
	file := filepath.Join(g.Dir, facts.SectionPath)
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 {
		t.Fatal(info, err)
	}
	for _, do := range []string{"chmod 606 $0", "chown 65534 $0", "chmod 777 $(dirname $0)"} {
		g.Exec(t, "sh", "-ec", "chmod 600 $0; chown 0 $0; chmod 755 $(dirname $0); "+do, file)
		w := startService(t, g, "{")
		w.says(t, "<4>cannot use the copy of the last good section: ", file, "which root follows")
		w.says(t, "guard only: ")
		w.stop()
	}
	g.Exec(t, "sh", "-ec", "chmod 755 $(dirname $0)", file)
	g.Do(func() {
		f, err := facts.Gather(g.H)
		if err != nil {
			t.Fatal(err)
		}
		f.Networkd = false
		g.Converge(t, withoutTunnel(gateway.Transition{}, nil, f))
	})
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("remove leaves the copy: %v", err)
	}
	if live, err := (resource.Table{}).Read(t.Context(), g.H); err != nil || live.Text() != "" {
		t.Error(live, err)
	}
}
