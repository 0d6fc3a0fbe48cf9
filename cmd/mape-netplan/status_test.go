package main

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/spf13/cobra"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/resource"
	"mape-netplan/schema"
)

// TestDetail says in one line what is wrong with each kind of resource.
func TestDetail(t *testing.T) {
	table := func(rules ...string) resource.Table {
		c := nft.Chain{Name: "postrouting", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPostrouting, Priority: 300}
		for _, tunnel := range rules {
			c.Rules = append(c.Rules, nft.NewRule(nft.Is(nft.OIfName, append([]byte(tunnel), make([]byte, 16-len(tunnel))...)), nft.Accept))
		}
		return resource.Table{Table: nft.Table{Name: "mape", Chains: []nft.Chain{c}}}
	}
	c, err := schema.Parse("gw.yaml", []byte("mape: {}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		before, after engine.Resource
		want          string
	}{
		{resource.Sysctl{Key: "net/ipv4/ip_forward", Value: "0"}, resource.Sysctl{Key: "net/ipv4/ip_forward", Value: "1"}, "is 0, should be 1"},
		{table(), table("mape0"), "1 line differs, which is missing: oifname \"mape0\" accept"},
		{table("mape0", "mape1"), table("mape2"), "3 lines differ, the first should not be there: oifname \"mape0\" accept"},
		{gateway.GuardOf(c, facts.Facts{}).Table, table("mape0"), "is the guard alone: nothing passes the tunnel"},
		{resource.Table{Table: nft.Table{Name: "mape"}}, table("mape0"), "is absent"},
		{table("mape0"), resource.Table{Table: nft.Table{Name: "mape"}}, "should not be there"},
	} {
		if got := detail(engine.Change{Before: test.before, After: test.after}); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// TestStray: status and plan find nothing to change and warn of the half of the internet that does not go into the tunnel.
// A bridge of the tunnel's name stands in for it, with its route alone.
func TestStray(t *testing.T) {
	needRoot(t)
	dir, done := t.TempDir(), make(chan struct{})
	go func() {
		defer close(done)
		machine(t, dir)
		run := func(script string) {
			if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", script, err, out)
			}
		}
		run("ip link add mape0 type bridge; ip link set mape0 up; ip route add default dev mape0 scope link proto static")
		h, err := host.Open("")
		if err != nil {
			t.Error(err)
			return
		}
		c, err := schema.Parse("section", []byte("mape: {wan: eth1, prefix: '2400:4050:5c71:af00::/56'}"))
		if err != nil {
			t.Error(err)
			return
		}
		aim := gateway.Resolve(c, facts.Example())
		g, err := aim.Gateway, aim.Err
		if err != nil {
			t.Error(err)
			return
		}
		want := slices.DeleteFunc(gateway.Compile(g, facts.Example()), func(r engine.Resource) bool {
			_, ok := r.(resource.Route)
			return !ok
		})
		check := func(warns bool) {
			t.Helper()
			s, err := stateOf(t.Context(), h, g, want)
			if err != nil || !s.OK || len(s.Resources) != 1 || strings.Contains(strings.Join(s.Softwire.Warnings, "\n"), "leave by eth0") != warns {
				t.Errorf("the state is %+v, %v", s, err)
			}
			cmd, out := &cobra.Command{}, new(bytes.Buffer)
			cmd.SetContext(t.Context())
			cmd.SetErr(out)
			changes, err := planned(cmd, h, g, want, takenForAbsent(cmd))
			if err != nil || len(changes) > 0 || strings.HasPrefix(out.String(), "warning: packets of this machine to the internet") != warns {
				t.Errorf("the plan is %v, %v, and says %s", changes, err, out)
			}
		}
		check(false)
		run("ip route add 128.0.0.0/1 via 192.168.1.1")
		check(true)
	}()
	<-done
}
