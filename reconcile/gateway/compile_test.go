package gateway_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/sysctld"
	"mape-netplan/reconcile/translator"
)

// TestCompile compares the whole list of what the program may own. An archive holds the value of mape: (none: remove),
// the kernel's interfaces (none: a directory that stands for a machine), delegated prefixes, the machine's files, and the list.
func TestCompile(t *testing.T) {
	files, err := filepath.Glob("testdata/compile/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no tests", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := compileArchive(t, archive)
			want := &archive.Files[len(archive.Files)-1]
			if want.Name != "list" {
				t.Fatal("the last file is not the list")
			}
			if got == string(want.Data) {
				return
			}
			if !*hosttest.Update {
				t.Fatalf("got:\n%s\nwant:\n%s", got, want.Data)
			}
			want.Data = []byte(got)
			if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func compileArchive(t *testing.T, archive *txtar.Archive) string {
	var section string
	var links []kernel.Link
	var delegations []networkd.Delegation
	var machine txtar.Archive
	for _, f := range archive.Files {
		switch {
		case f.Name == "mape":
			section = string(f.Data)
		case f.Name == "links":
			links = gatewaytest.LinksOf(t, string(f.Data))
		case f.Name == "delegations":
			if err := json.Unmarshal(f.Data, &delegations); err != nil {
				t.Fatal(err)
			}
		case strings.HasPrefix(f.Name, "/"):
			machine.Files = append(machine.Files, f)
		}
	}
	f := gatewaytest.FactsOf(t, string(txtar.Format(&machine)), links)
	f.Delegations = delegations
	if links != nil {
		f.Netplan = true
		f.IPForward = cmp.Or(f.IPForward, "0")
	}
	var g *gateway.Gateway
	if section != "" {
		g = gatewaytest.MustResolve(t, section, f)
	}
	return strings.ReplaceAll(gatewaytest.List(g, gateway.Compile(g, f)), "program "+translator.Version()+"\n", "program …\n")
}

// TestCompileFromMAPT: after MAP-T the programs go before the tunnel gets another far end, which stays closed until then.
func TestCompileFromMAPT(t *testing.T) {
	f := gatewaytest.OnLineFacts("2400:db8:12:3400::1/64")
	f.Owned.Translates = true
	for _, section := range []string{`{ds-lite: {aftr: "2001:db8:ffff::1"}}`, `{ipip: {ipv4: 203.0.113.8, br: "2001:db8:ffff::1"}}`} {
		var names []string
		for _, r := range gateway.Compile(gatewaytest.MustResolve(t, section, f), f) {
			if name, _, _ := strings.Cut(r.Name(), " "); name == "table" || name == "translator" || name == "tunnel" || strings.HasPrefix(r.Name(), "route unreachable") {
				names = append(names, fmt.Sprint(name, " ", r.Text() != ""))
			}
		}
		if got := strings.Join(names, ", "); got != "table true, translator false, tunnel true, route false" {
			t.Errorf("%s: %s", section, got)
		}
	}
}

// TestCompileProperties: the same again, no resource twice, and a removal that wants nothing but absence, of everything
// that the gateway made.
func TestCompileProperties(t *testing.T) {
	sections := []string{
		"{prefix: '2400:4050:5c71:af00::/56', wan: eth1}",
		"{prefix: '2400:4050:5c71:af00::/56', wan: eth1, lan: [], tunnel: old}",
		"{prefix: '2400:4050:5c71:af00::/56', wan: eth1, backend: networkd}",
		"{prefix: '2400:4050:5c71:af00::/56', wan: eth0, lan: eth1, backend: netplan, mtu: 1400}",
		"{prefix: '2400:4050:5c71:af00::/56', wan: eth1, wan-prefix: pd}",
		"{prefix: '2400:4050:5c71:af00::/56', wan: eth1, wan-prefix: pd, backend: networkd}",
		`{ds-lite: {aftr: "2001:db8:ffff::1"}, prefix: '2400:4050:5c71:af00::/56', wan: eth1}`,
		`{ipip: {ipv4: 203.0.113.8/29, br: "2001:db8:ffff::1", block: route}, prefix: '2400:4050:5c71:af00::/56', wan: eth1, backend: networkd}`,
		`{lw4o6: {lwaftr: "2001:db8:ffff::1", ipv4: 203.0.113.8, psid: 3, psid-len: 4}, prefix: '2400:4050:5c71:af00::/56', wan: eth1}`,
		`{dmr: "2001:db8:ffff::/64", rules: [{ipv6: '2400:4050::/32', ipv4: 203.0.113.0/24, ea-bits: 16}], prefix: '2400:4050:5c71:af00::/56', wan: eth1}`,
	}
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 0))
		f := gatewaytest.RandomFacts(r)
		section := sections[r.IntN(len(sections))]
		g, err := gatewaytest.Resolve(gatewaytest.SectionOf(t, section), f)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, g := range []*gateway.Gateway{g, nil} {
			all := gateway.Compile(g, f)
			if !reflect.DeepEqual(all, gateway.Compile(g, f)) {
				t.Fatalf("seed %d: two runs differ", seed)
			}
			seen := map[string]bool{}
			for _, one := range all {
				if seen[one.Name()] {
					t.Fatalf("seed %d: %s is there twice:\n%s", seed, one.Name(), gatewaytest.List(g, all))
				}
				seen[one.Name()] = true
				if _, sysctl := one.(resource.Sysctl); g == nil && one.Text() != "" && !sysctl {
					t.Fatalf("seed %d: removal wants %s", seed, one.Name())
				}
			}
			for _, p := range f.Owned.Files {
				if !seen["file "+p] {
					t.Fatalf("seed %d: %s is in no resource", seed, p)
				}
			}
		}
	}
}

// TestCompileOrder: the guard before the tunnel, each file before the live thing it is for, and the other way round for
// removal.
func TestCompileOrder(t *testing.T) {
	f := facts.Example()
	g := gatewaytest.MustResolve(t, "{prefix: '2400:4050:5c71:af00::/56'}", f)
	f.Owned = facts.Owned{Files: []string{netplan.Path, sysctld.Path, networkd.EncapLimitPath("mape0")}, Tunnels: []string{"mape0"}}
	for _, test := range []struct {
		g     *gateway.Gateway
		order []string
	}{
		{g, []string{"table ip mape", "file " + netplan.Path, "netplan generate", "tunnel mape0", "filter mape0 egress", "route default dev mape0"}},
		{g, []string{"file " + networkd.EncapLimitPath("mape0"), "netplan generate"}},
		{g, []string{"file " + sysctld.Path, "sysctl net/ipv4/conf/mape0/rp_filter", "sysctl net/ipv4/ip_forward"}},
		{nil, []string{"tunnel mape0", "file " + netplan.Path, "netplan generate", "table ip mape"}},
	} {
		last, before := -1, ""
		all := gateway.Compile(test.g, f)
		for _, name := range test.order {
			at := -1
			for i, r := range all {
				if r.Name() == name {
					at = i
				}
			}
			if at <= last {
				t.Errorf("%s does not come after %s:\n%s", name, before, gatewaytest.List(test.g, all))
			}
			last, before = at, name
		}
	}
}

// TestTunnelGoesWhole: all that a gateway has on its tunnel is listed as absent when the tunnel goes, before the tunnel, so
// that a rollback brings it back.
func TestTunnelGoesWhole(t *testing.T) {
	f := facts.Example()
	g := gatewaytest.MustResolve(t, "{prefix: '2400:4050:5c71:af00::/56'}", f)
	f.Links = append(f.Links, kernel.Link{Name: "mape0", Kind: "ip6tnl"})
	f.Owned.Tunnels = []string{"mape0"}
	on := map[string]bool{}
	for _, r := range gateway.Compile(g, f) {
		if traits := r.Traits(); traits.Link == "mape0" && !traits.Daemon {
			on[r.Name()] = true
		}
	}
	if len(on) < 3 {
		t.Errorf("on the tunnel is only %v", on)
	}
	for _, r := range gateway.Compile(nil, f) {
		if r.Text() == "" {
			delete(on, r.Name())
		}
		if r.Traits().Makes == "mape0" {
			break
		}
	}
	if len(on) > 0 {
		t.Errorf("not listed before the tunnel goes: %v", on)
	}
}
