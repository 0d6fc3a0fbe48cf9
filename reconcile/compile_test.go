package reconcile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
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
			if !*update {
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
	var links []Link
	var delegations []Delegation
	var machine txtar.Archive
	for _, f := range archive.Files {
		switch {
		case f.Name == "mape":
			section = string(f.Data)
		case f.Name == "links":
			links = linksOf(t, string(f.Data))
		case f.Name == "delegations":
			if err := json.Unmarshal(f.Data, &delegations); err != nil {
				t.Fatal(err)
			}
		case strings.HasPrefix(f.Name, "/"):
			machine.Files = append(machine.Files, f)
		}
	}
	f := factsOf(t, string(txtar.Format(&machine)), links)
	f.Delegations = delegations
	if links != nil {
		f.Netplan = true
		f.IPForward = cmp.Or(f.IPForward, "0")
	}
	var g *Gateway
	if section != "" {
		g = mustResolve(t, section, f)
	}
	return list(g, Compile(g, f))
}

// list prints resources with their texts. The table has tests of its own.
func list(g *Gateway, all []Resource) string {
	var b strings.Builder
	if g != nil {
		for _, w := range g.Warnings {
			fmt.Fprintf(&b, "warning: %s\n", w)
		}
	}
	for _, r := range all {
		text := r.Text()
		switch _, table := r.(Table); {
		case text == "":
			text = "absent\n"
		case table:
			text = fmt.Sprintf("%d lines\n", strings.Count(text, "\n"))
		}
		text = strings.TrimSuffix(strings.ReplaceAll("\n"+strings.TrimSuffix(text, "\n"), "\n", "\n\t"), "\n")
		fmt.Fprintf(&b, "%s%s\n", r.Name(), text)
	}
	return b.String()
}

// randomFacts is a machine on which anything may have happened before.
func randomFacts(r *rand.Rand) Facts {
	f := ExampleFacts()
	maybe := func() bool { return r.IntN(2) == 0 }
	f.Live, f.Netplan, f.Networkd = maybe(), maybe(), maybe()
	f.IPForward = []string{"", "0", "1"}[r.IntN(3)]
	ces := []netip.Prefix{netip.MustParsePrefix("2400:4050:5c71:af00:99:f171:c600:2f00/128"), netip.MustParsePrefix("2001:db8::1/128")}
	for i := range f.Links {
		if maybe() {
			f.Links[i].NetworkFile = "/etc/systemd/network/" + f.Links[i].Name + ".network"
		}
		if maybe() {
			f.Links[i].Addresses = append(f.Links[i].Addresses, Inet{Prefix: ces[r.IntN(2)]})
		}
	}
	if maybe() {
		f.Definitions = f.Definitions[:r.IntN(2)]
	}
	some := func(names ...string) []string {
		return slices.DeleteFunc(names, func(string) bool { return maybe() })
	}
	f.Owned.Files = some(netplanPath, sysctlPath, netdevPath, networkPath, limitPath("mape0"), limitPath("old"),
		dropInPath("eth0.network"), dropInPath("eth1.network"), dropInPath("gone.network"), dropInPath("10-netplan-eth1.network"))
	f.Owned.Tunnels = some("mape0", "old")
	for _, tunnel := range some("mape0", "old") {
		f.Links = append(f.Links, Link{Name: tunnel, Kind: []string{"ip6tnl", "bridge"}[r.IntN(2)]})
	}
	for _, link := range some("eth0", "eth1", "gone") {
		f.Owned.Addresses = append(f.Owned.Addresses, OwnedAddress{link, ces[r.IntN(2)]})
	}
	return f
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
	}
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 0))
		f := randomFacts(r)
		section := sections[r.IntN(len(sections))]
		g, err := resolve(sectionOf(t, section), f)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, g := range []*Gateway{g, nil} {
			all := Compile(g, f)
			if !reflect.DeepEqual(all, Compile(g, f)) {
				t.Fatalf("seed %d: two runs differ", seed)
			}
			seen := map[string]bool{}
			for _, one := range all {
				if seen[one.Name()] {
					t.Fatalf("seed %d: %s is there twice:\n%s", seed, one.Name(), list(g, all))
				}
				seen[one.Name()] = true
				if _, sysctl := one.(Sysctl); g == nil && one.Text() != "" && !sysctl {
					t.Fatalf("seed %d: removal wants %s", seed, one.Name())
				}
			}
			for _, p := range f.Owned.Files {
				if !seen["file "+p] {
					t.Fatalf("seed %d: nobody looks after %s", seed, p)
				}
			}
		}
	}
}

// TestCompileOrder: the guard before the tunnel, each file before the live thing it is for, and the other way round for
// removal.
func TestCompileOrder(t *testing.T) {
	f := ExampleFacts()
	g := mustResolve(t, "{prefix: '2400:4050:5c71:af00::/56'}", f)
	f.Owned = Owned{Files: []string{netplanPath, sysctlPath, limitPath("mape0")}, Tunnels: []string{"mape0"}}
	for _, test := range []struct {
		g     *Gateway
		order []string
	}{
		{g, []string{"table ip mape", "file " + netplanPath, "netplan generate", "tunnel mape0", "filter mape0 egress", "route default dev mape0"}},
		{g, []string{"file " + limitPath("mape0"), "netplan generate"}},
		{g, []string{"file " + sysctlPath, "sysctl net/ipv4/conf/mape0/rp_filter", "sysctl net/ipv4/ip_forward"}},
		{nil, []string{"tunnel mape0", "file " + netplanPath, "netplan generate", "table ip mape"}},
	} {
		last, before := -1, ""
		all := Compile(test.g, f)
		for _, name := range test.order {
			at := -1
			for i, r := range all {
				if r.Name() == name {
					at = i
				}
			}
			if at <= last {
				t.Errorf("%s does not come after %s:\n%s", name, before, list(test.g, all))
			}
			last, before = at, name
		}
	}
}
