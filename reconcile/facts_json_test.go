package reconcile

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"

	"mape-netplan/reconcile/firewall/ruleset"
	"mape-netplan/reconcile/nft"
)

// TestFactsJSON: facts come through JSON whole, and what is made of them is the same.
func TestFactsJSON(t *testing.T) {
	for seed := range uint64(50) {
		f := randomFacts(rand.New(rand.NewPCG(seed, 1)))
		f.Links[1].Addresses = append(f.Links[1].Addresses,
			Inet{Prefix: netip.MustParsePrefix(lineB + "::5/64"), Temporary: true, Deprecated: true, Tentative: true, Failed: true, Origin: OriginRA, Announced: 1<<32 - 1})
		f.Delegations = []Delegation{{netip.MustParsePrefix(lineA + "::/56"), "eth1", sourceRoute}}
		f.Owned.Translations = []Translation{{netip.MustParsePrefix("192.0.2.18/32"), 1024, 2031, []Forwarded{{6, 1024, 1027, netip.MustParseAddrPort("192.168.1.10:22")}}}}
		f.Foreign.Legacy, f.Foreign.Unread = []string{"nat"}, "nobody says"
		checkJSON(t, f)
	}
}

func checkJSON(t *testing.T, f Facts) {
	t.Helper()
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var read Facts
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(read)
	if err != nil || string(again) != string(data) {
		t.Errorf("%v: became\n%s\nwas\n%s", err, again, data)
	}
	section := sectionOf(t, "{prefix: '2400:4050:5c71:af00::/56', wan: eth1, wan-prefix: pd}")
	compiled := func(f Facts) string {
		g, err := resolve(section, f)
		if err != nil {
			t.Fatal(err)
		}
		return list(g, Compile(g, f))
	}
	if was, is := compiled(f), compiled(read); is != was {
		t.Errorf("compiled to\n%s\nwas\n%s", is, was)
	}
}

// TestFactsJSONForeign: the warnings about other programs' rules can be made on another machine.
func TestFactsJSONForeign(t *testing.T) {
	n := newNS(t)
	needTool(t, "nft")
	for _, file := range []string{"firewalld.nft", "docker-nftables.nft", "nftables-server.nft"} {
		n.run(t, "nft", "flush ruleset")
		n.run(t, "nft", "-f", "testdata/foreign/"+file)
		f := lines(advertised(lineA+"::5/64", 1))
		var err error
		if f.Foreign.Ruleset, err = ruleset.Read(nft.OpenNS(n.fd()), tableName, meetsUs); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var read Facts
		if err := json.Unmarshal(data, &read); err != nil {
			t.Fatal(err)
		}
		was, is := mustResolve(t, "{}", f).Warnings, mustResolve(t, "{}", read).Warnings
		if len(was) == 0 || !reflect.DeepEqual(is, was) {
			t.Errorf("%s: warns %q, was %q", file, is, was)
		}
	}
}
