package facts_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/firewall"
	"mape-netplan/reconcile/firewall/ruleset"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/nft"
)

// TestFactsJSON: facts come through JSON whole, and what is made of them is the same.
func TestFactsJSON(t *testing.T) {
	for seed := range uint64(50) {
		f := gatewaytest.RandomFacts(rand.New(rand.NewPCG(seed, 1)))
		f.Links[1].Addresses = append(f.Links[1].Addresses,
			kernel.Inet{Prefix: netip.MustParsePrefix(gatewaytest.LineB + "::5/64"), Temporary: true, Deprecated: true, Tentative: true, Failed: true, Origin: kernel.OriginRA, Announced: 1<<32 - 1})
		f.Delegations = []networkd.Delegation{{Prefix: netip.MustParsePrefix(gatewaytest.LineA + "::/56"), Link: "eth1", Source: networkd.SourceRoute}}
		f.Owned.Translations = []nat.Translation{{Address: netip.MustParsePrefix("192.0.2.18/32"), First: 1024, Last: 2031, Forwards: []nat.Forwarded{{Protocol: 6, First: 1024, Last: 1027, To: netip.MustParseAddrPort("192.168.1.10:22")}}}}
		f.Foreign.Legacy, f.Foreign.Unread = []string{"nat"}, "it is not known"
		gatewaytest.CheckJSON(t, f)
	}
}

// TestFactsJSONForeign: the warnings about other programs' rules can be made on another machine.
func TestFactsJSONForeign(t *testing.T) {
	n := hosttest.NewNS(t)
	hosttest.NeedTool(t, "nft")
	for _, file := range []string{"firewalld.nft", "docker-nftables.nft", "nftables-server.nft"} {
		n.Exec(t, "nft", "flush ruleset")
		n.Exec(t, "nft", "-f", "../firewall/testdata/foreign/"+file)
		f := gatewaytest.Lines(gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1))
		var err error
		if f.Foreign.Ruleset, err = ruleset.Read(nft.OpenNS(n.FD()), nat.Name, firewall.MeetsUs); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var read facts.Facts
		if err := json.Unmarshal(data, &read); err != nil {
			t.Fatal(err)
		}
		was, is := gatewaytest.MustResolve(t, "{}", f).AllWarnings(), gatewaytest.MustResolve(t, "{}", read).AllWarnings()
		if len(was) == 0 || !reflect.DeepEqual(is, was) {
			t.Errorf("%s: warns %q, was %q", file, is, was)
		}
	}
}
