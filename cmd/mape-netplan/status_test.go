package main

import (
	"testing"

	"github.com/google/nftables"

	"mape-netplan/reconcile"
	"mape-netplan/reconcile/nft"
	"mape-netplan/schema"
)

// TestDetail says in one line what is wrong with each kind of resource.
func TestDetail(t *testing.T) {
	table := func(rules ...string) reconcile.Table {
		c := nft.Chain{Name: "postrouting", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPostrouting, Priority: 300}
		for _, tunnel := range rules {
			c.Rules = append(c.Rules, nft.NewRule(nft.Is(nft.OIfName, append([]byte(tunnel), make([]byte, 16-len(tunnel))...)), nft.Accept))
		}
		return reconcile.Table{Table: nft.Table{Name: "mape", Chains: []nft.Chain{c}}}
	}
	c, err := schema.Parse("gw.yaml", []byte("mape: {}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		before, after reconcile.Resource
		want          string
	}{
		{reconcile.Sysctl{Key: "net/ipv4/ip_forward", Value: "0"}, reconcile.Sysctl{Key: "net/ipv4/ip_forward", Value: "1"}, "is 0, should be 1"},
		{table(), table("mape0"), "1 line differs, which is missing: oifname \"mape0\" accept"},
		{table("mape0", "mape1"), table("mape2"), "3 lines differ, the first should not be there: oifname \"mape0\" accept"},
		{reconcile.GuardOf(c, reconcile.Facts{}).Table, table("mape0"), "is the guard alone: nothing passes the tunnel"},
		{reconcile.Table{Table: nft.Table{Name: "mape"}}, table("mape0"), "is absent"},
		{table("mape0"), reconcile.Table{Table: nft.Table{Name: "mape"}}, "should not be there"},
	} {
		if got := detail(reconcile.Change{Before: test.before, After: test.after}); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
