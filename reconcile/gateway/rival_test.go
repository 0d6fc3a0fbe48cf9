package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/sysctld"
)

// TestTunnelOfOthers: a tunnel that another program or a user has made by the name of ours is refused, and ours is not.
func TestTunnelOfOthers(t *testing.T) {
	f := gatewaytest.OnLineFacts(gatewaytest.LineAddress)
	f.Links = append(f.Links, kernel.Link{Name: "mape0", Index: 9, Kind: "ip6tnl"})
	for _, test := range []struct {
		section string
		ours    []string
		refused bool
	}{
		{"{wan: eth1, lan: eth0}", nil, true},
		{"{wan: eth1, lan: eth0}", []string{"mape1"}, true},
		{"{wan: eth1, lan: eth0}", []string{"mape0"}, false},
		{"{wan: eth1, lan: eth0, tunnel: mape1}", nil, false},
		{"{wan: eth1, lan: eth0, tunnel: mape.1_a-b}", nil, false},
	} {
		f.Owned.Tunnels = test.ours
		_, err := gatewaytest.Resolve(gatewaytest.SectionOf(t, test.section), f)
		if refused := err != nil && strings.HasPrefix(err.Error(), "there is a tunnel mape0 already that mape-netplan has not made; "); refused != test.refused || err != nil && !refused {
			t.Errorf("%s, ours are %q: %v", test.section, test.ours, err)
		}
	}
}

// TestTunnelName: netplan 0.106 and 1.1 write the file of such a tunnel under two names. networkd has no such trouble.
func TestTunnelName(t *testing.T) {
	for _, name := range []string{"{{x}}", "mape0,a", "ma+pe"} {
		for backend, refused := range map[string]bool{"netplan": true, "networkd": false} {
			c := gatewaytest.SectionOf(t, fmt.Sprintf("{wan: eth1, lan: eth0, tunnel: %q, backend: %s}", name, backend))
			if _, err := gatewaytest.Resolve(c, gatewaytest.OnLineFacts(gatewaytest.LineAddress)); (err != nil) != refused {
				t.Errorf("%s by %s: %v", name, backend, err)
			}
		}
	}
}

// TestConntrackMaxFixed: in a container, whose kernel belongs to its host, conntrack.max is left out with a warning.
func TestConntrackMaxFixed(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Exec(t, "nft", "add table ip tracks; add chain ip tracks c { type filter hook input priority 0; }; add rule ip tracks c ct state new accept")
	section := strings.Replace(gatewaytest.LineSection, "{", "{conntrack: {max: 100000}, ", 1)
	g.Do(func() {
		f, err := facts.Gather(g.H)
		if err != nil {
			t.Fatal(err)
		}
		for _, fixed := range []bool{true, false} {
			if !fixed {
				f.MaxFixed = ""
			}
			gw := gatewaytest.MustResolve(t, section, f)
			warned := slices.ContainsFunc(gw.Warnings, func(w string) bool {
				return strings.HasPrefix(w, "conntrack.max is left out: the number of tracked connections cannot be set here (permission denied), ")
			})
			if text := engine.Rendering(gateway.Compile(gw, f)); warned != fixed || strings.Contains(text, sysctld.ConntrackMaxKey) == fixed {
				t.Errorf("fixed %v: warned %q and made\n%s", fixed, gw.Warnings, text)
			}
		}
	})
}
