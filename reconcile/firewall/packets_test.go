package firewall_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
)

// withForeign is a line whose gateway has the interfaces and rules of others.
func withForeign(t *testing.T, files string) *gatewaytest.Rig {
	t.Helper()
	l := gatewaytest.NewRig(t, gatewaytest.NatKinds["ocn"])
	for _, name := range []string{"eth1", "docker0", "virbr0"} {
		hosttest.Veth(t, l.Gw, name, "", l.Inet, name, "")
	}
	for _, f := range strings.Fields(files) {
		install(t, l.Gw, f)
	}
	l.ServeTCP(t)
	return l
}

// gets reports whether a connection from the LAN is established. One that should be may take long on a busy machine.
func gets(l *gatewaytest.Rig, should bool) bool {
	c, err := gatewaytest.Dial(l.Lan, gatewaytest.Server+":80", waitFor(should))
	if err == nil {
		c.Close()
	}
	return err == nil
}

func waitFor(comes bool) time.Duration {
	if comes {
		return gatewaytest.Limit
	}
	return gatewaytest.Silence
}

// TestForeignTruth: there is a warning exactly where packets do not get through, and where the advice is a command that
// can be run here, they do after it, and the warning is gone.
func TestForeignTruth(t *testing.T) {
	for _, test := range programs {
		t.Run(test.files, func(t *testing.T) {
			t.Parallel()
			l := withForeign(t, test.files)
			free := len(test.want) == 0
			if gets(l, free) != free {
				t.Fatalf("the flow gets through: %v; said is %q", !free, test.want)
			}
			if free {
				gatewaytest.FlowTCP(t, l.Lan)
				gatewaytest.FlowTCP(t, l.Gw)
				return
			}
			all := foreignWarnings(t, l.Gw)
			for _, advice := range all {
				if !obey(t, l.Gw, advice) {
					return
				}
			}
			if got := foreignWarnings(t, l.Gw); len(got) > 0 || !gets(l, true) {
				t.Errorf("after %q: %q", all, got)
			}
			gatewaytest.FlowTCP(t, l.Lan)
		})
	}
}

// TestForeignTranslation: a source translation before ours, and packets that are not tracked, end at the guard.
func TestForeignTranslation(t *testing.T) {
	for _, test := range []struct{ name, chain, wrong, right string }{
		{"masquerade", "type nat hook postrouting priority 0", `oifname != "eth0" masquerade`, `oifname != "mape0" oifname != "eth0" masquerade`},
		{"notrack", "type filter hook prerouting priority raw", "tcp dport 80 notrack", `iifname != { "eth0", "mape0" } tcp dport 80 notrack`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := withForeign(t, "")
			for rule, works := range map[string]bool{test.wrong: false, test.right: true} {
				table(t, l.Gw, "chain c { "+test.chain+"; "+rule+"; }")
				if got, said := gets(l, works), foreignWarnings(t, l.Gw); works != got || works != (len(said) == 0) {
					t.Errorf("%s: the flow gets through: %v; said is %q", rule, got, said)
				}
			}
		})
	}
}

// TestForeignForwardTruth: each forward, from the internet and from the LAN, gets through or is warned of; after the
// commands of all warnings, all get through without one.
func TestForeignForwardTruth(t *testing.T) {
	for _, files := range []string{
		"docker.rules", "docker-forwarding.rules", "docker-nftables-forwarding.nft", "libvirt.rules", "ufw-route.rules",
		"firewalld.nft", "nftables-server.nft", "nftables-router.nft", "nftables-workstation.nft",
	} {
		t.Run(files, func(t *testing.T) {
			t.Parallel()
			l, container := gatewaytest.BareRig(t, gatewaytest.NatKinds["ocn"]), hosttest.NewNS(t)
			first := gatewaytest.ForwardsOf(l.Sw)[0].Ports[0].First
			l.Forwards = gatewaytest.ForwardTargets(first)
			if err := l.Table().Write(l.Conn); err != nil {
				t.Fatal(err)
			}
			hosttest.Veth(t, l.Gw, "docker0", "172.17.0.1/16", container, "eth0", "172.17.0.2/16")
			container.Exec(t, "ip", "route", "add", "default", "via", "172.17.0.1")
			hosttest.Veth(t, l.Gw, "eth1", "", l.Inet, "eth1", "")
			hosttest.Veth(t, l.Gw, "virbr0", "", l.Inet, "virbr0", "")
			gatewaytest.Say(t, l.Lan, "lan", 22)
			gatewaytest.Say(t, l.Gw, "gw", 2222)
			gatewaytest.Say(t, container, "container", 80)
			install(t, l.Gw, files)
			check := func() (warnings []string) {
				warnings = withForwards(t, l.Gw, l.Forwards)
				for i, text := range []string{"tcp 192.168.1.10:22", "udp 2222", "tcp 172.17.0.2:80"} {
					for from, n := range map[string]*hosttest.NS{"mape0": l.Inet, "eth0": l.Lan} {
						warned := slices.ContainsFunc(warnings, func(w string) bool {
							about := "forwarded ports from mape0 to|what is forwarded to this machine"
							if from == "eth0" {
								about = "connections from eth0 to forwarded ports"
							}
							return regexp.MustCompile("(" + about + ")[^(]*\\([^)]*" + text).MatchString(w)
						})
						to := fmt.Sprintf("192.0.2.18:%d", int(first)+i)
						heard := gatewaytest.Hear(t, n, l.Forwards[i].Protocol, to, waitFor(!warned)) != ""
						if heard == warned {
							t.Errorf("%s from %s: gets through: %v; said is\n%s", text, from, heard, strings.Join(warnings, "\n"))
						}
					}
				}
				return warnings
			}
			warnings := check()
			for _, w := range warnings {
				if !obey(t, l.Gw, w) {
					return
				}
			}
			if got := check(); len(got) > 0 {
				t.Errorf("after all: %s", strings.Join(got, "\n"))
			}
		})
	}
}
