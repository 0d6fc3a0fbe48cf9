package line_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/networkd"
)

// TestCandidates chooses among everything that a WAN may have. Each line of want is a candidate, in order: its prefix,
// and the CE address that it comes to, or why it is not the one.
func TestCandidates(t *testing.T) {
	with := func(a kernel.Inet, change func(*kernel.Inet)) kernel.Inet { change(&a); return a }
	const minute = 6000
	for _, test := range []struct {
		name, section string
		delegations   []networkd.Delegation
		addresses     []kernel.Inet
		owned         string // the CE address of an earlier run
		asking        bool   // a file of one asks for a delegation
		routers       int    // on the link
		want          []string
		warning       string // of the first
		err           string // where there is no first
	}{
		{name: "advertised", addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1)},
			want: []string{gatewaytest.LineA + "::5/64 " + gatewaytest.CeA}},
		{name: "advertised part of a home gateway's", addresses: []kernel.Inet{gatewaytest.Advertised("2400:4050:5c71:aff1::5/64", 1)},
			want: []string{"2400:4050:5c71:aff1::5/64 " + gatewaytest.CeA}, warning: "2400:4050:5c71:aff1::/64 is not the first subnet of " + gatewaytest.LineA + "::/56"},
		{name: "static", addresses: []kernel.Inet{gatewaytest.Static(gatewaytest.LineA + "::5/64")},
			want: []string{gatewaytest.LineA + "::5/64 " + gatewaytest.CeA}},
		{name: "advertised before static before assigned", addresses: []kernel.Inet{
			with(gatewaytest.Static(gatewaytest.LineC+"::7/128"), func(a *kernel.Inet) { a.Origin = kernel.OriginDHCP6 }), gatewaytest.Static(gatewaytest.LineB + "::5/64"), gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1)},
			want: []string{gatewaytest.LineA + "::5/64 " + gatewaytest.CeA, gatewaytest.LineB + "::5/64 " + gatewaytest.CeB, gatewaytest.LineC + "::7/128 " + gatewaytest.CeC}},
		{name: "announced last", addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 10*minute), gatewaytest.Advertised(gatewaytest.LineB+"::5/64", 11*minute)}, owned: gatewaytest.CeA,
			want: []string{gatewaytest.LineB + "::5/64 " + gatewaytest.CeB, gatewaytest.LineA + "::5/64 " + gatewaytest.CeA}},
		{name: "two routers, each announces its own", routers: 2, addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 10*minute), gatewaytest.Advertised(gatewaytest.LineB+"::5/64", 20*minute)}, owned: gatewaytest.CeA,
			want: []string{gatewaytest.LineA + "::5/64 " + gatewaytest.CeA, gatewaytest.LineB + "::5/64 " + gatewaytest.CeB}},
		{name: "two routers, one is silent", routers: 2, addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 10*minute), gatewaytest.Advertised(gatewaytest.LineB+"::5/64", 20*minute+1)}, owned: gatewaytest.CeA,
			want: []string{gatewaytest.LineB + "::5/64 " + gatewaytest.CeB, gatewaytest.LineA + "::5/64 " + gatewaytest.CeA}},
		{name: "two routers, one has ended its prefix", routers: 2, addresses: []kernel.Inet{with(gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 10*minute), func(a *kernel.Inet) { a.Deprecated = true }), gatewaytest.Advertised(gatewaytest.LineB+"::5/64", 10*minute)}, owned: gatewaytest.CeA,
			want: []string{gatewaytest.LineB + "::5/64 " + gatewaytest.CeB, gatewaytest.LineA + "::5/64 is deprecated"}},
		{name: "announced last, the counter anew", addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1<<32-minute), gatewaytest.Advertised(gatewaytest.LineB+"::5/64", 7)},
			want: []string{gatewaytest.LineB + "::5/64 " + gatewaytest.CeB, gatewaytest.LineA + "::5/64 " + gatewaytest.CeA}},
		{name: "announced together, no earlier run", addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 10*minute), gatewaytest.Advertised(gatewaytest.LineB+"::5/64", 10*minute+1)},
			want: []string{gatewaytest.LineA + "::5/64 " + gatewaytest.CeA, gatewaytest.LineB + "::5/64 " + gatewaytest.CeB}},
		{name: "announced together, an earlier run", addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 10*minute), gatewaytest.Advertised(gatewaytest.LineB+"::5/64", 10*minute)}, owned: gatewaytest.CeB,
			want: []string{gatewaytest.LineB + "::5/64 " + gatewaytest.CeB, gatewaytest.LineA + "::5/64 " + gatewaytest.CeA}},
		{name: "what a rule covers", addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.Uncovered+"::5/64", 11*minute), gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 10*minute)},
			want: []string{gatewaytest.LineA + "::5/64 " + gatewaytest.CeA, gatewaytest.Uncovered + "::5/64 no built-in rule covers"}},
		{name: "none that tells", addresses: []kernel.Inet{
			gatewaytest.Inet("fe80::1/64"), gatewaytest.Inet("fd00:1::1/64"), gatewaytest.Inet("2002:c000:204::1/16"), gatewaytest.Inet("4000::1/64"), gatewaytest.Inet("198.51.100.1/24"),
			with(gatewaytest.Advertised(gatewaytest.LineA+"::6/64", 1), func(a *kernel.Inet) { a.Temporary = true }),
			with(gatewaytest.Advertised(gatewaytest.LineA+"::7/64", 1), func(a *kernel.Inet) { a.Deprecated = true })},
			want: []string{"2002:c000:204::1/16 no built-in rule covers", gatewaytest.LineA + "::6/64 is temporary", gatewaytest.LineA + "::7/64 is deprecated",
				"fe80::1/64 is link-local", "fd00:1::1/64 is a unique local address", "4000::1/64 is not a global address"}},
		{name: "tentative and failed tell as well", addresses: []kernel.Inet{with(gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1), func(a *kernel.Inet) { a.Tentative = true; a.Failed = true })},
			want: []string{gatewaytest.LineA + "::5/64 " + gatewaytest.CeA}},
		{name: "CE address of the same line, from another program", addresses: []kernel.Inet{gatewaytest.Static(gatewaytest.CeA + "/128")},
			want: []string{gatewaytest.CeA + "/128 is the CE address itself"}},
		{name: "CE address of an earlier run, on another line now", addresses: []kernel.Inet{gatewaytest.Static(gatewaytest.CeA + "/64")}, owned: gatewaytest.CeA,
			want: []string{gatewaytest.CeA + "/64 is the CE address of an earlier run"}},
		{name: "delegation before an advertised prefix", delegations: []networkd.Delegation{gatewaytest.Delegated(gatewaytest.LineB + "::/56")}, addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1)}, owned: gatewaytest.CeA,
			want: []string{gatewaytest.LineB + "::/56 " + gatewaytest.CeB, gatewaytest.LineA + "::5/64 " + gatewaytest.CeA}},
		{name: "part of another line's", delegations: []networkd.Delegation{gatewaytest.Delegated("2400:4050:5c71:b0f0::/60")}, addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1)},
			want: []string{"2400:4050:5c71:b0f0::/60 " + gatewaytest.CeB, gatewaytest.LineA + "::5/64 " + gatewaytest.CeA}, warning: "2400:4050:5c71:b0f0::/60 is not the first subnet of " + gatewaytest.LineB + "::/56"},
		{name: "part of the same, on the home gateway's link", delegations: []networkd.Delegation{gatewaytest.Delegated("2400:4050:5c71:aff0::/60")}, addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1)},
			want: []string{gatewaytest.LineA + "::5/64 " + gatewaytest.CeA, "2400:4050:5c71:aff0::/60 " + gatewaytest.CeA}},
		{name: "part of the same, elsewhere", delegations: []networkd.Delegation{gatewaytest.Delegated("2400:4050:5c71:aff0::/60")}, addresses: []kernel.Inet{gatewaytest.Advertised("2400:4050:5c71:aff1::5/64", 1)},
			want: []string{"2400:4050:5c71:aff1::5/64 " + gatewaytest.CeA, "2400:4050:5c71:aff0::/60 " + gatewaytest.CeA}, warning: "2400:4050:5c71:aff1::/64 is not the first subnet"},
		{name: "all of the same", delegations: []networkd.Delegation{gatewaytest.Delegated(gatewaytest.LineA + "::/56")}, addresses: []kernel.Inet{gatewaytest.Advertised("2400:4050:5c71:aff1::5/64", 1)},
			want: []string{gatewaytest.LineA + "::/56 " + gatewaytest.CeA, "2400:4050:5c71:aff1::5/64 " + gatewaytest.CeA}},
		{name: "part alone", delegations: []networkd.Delegation{gatewaytest.Delegated("2400:4050:5c71:aff0::/60")},
			want: []string{"2400:4050:5c71:aff0::/60 " + gatewaytest.CeA}, warning: "2400:4050:5c71:aff0::/60 is not the first subnet of " + gatewaytest.LineA + "::/56"},
		{name: "no rule covers the delegation", delegations: []networkd.Delegation{gatewaytest.Delegated(gatewaytest.Uncovered + "::/56")}, addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1)},
			want: []string{gatewaytest.LineA + "::5/64 " + gatewaytest.CeA, gatewaytest.Uncovered + "::/56 no built-in rule covers"}},
		{name: "too short", delegations: []networkd.Delegation{gatewaytest.Delegated("2400:4050:5c71::/48")}, addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1)},
			want: []string{gatewaytest.LineA + "::5/64 " + gatewaytest.CeA, "2400:4050:5c71::/48 prefix 2400:4050:5c71::/48 is too short"}},
		{name: "delegated elsewhere", delegations: []networkd.Delegation{{Prefix: netip.MustParsePrefix(gatewaytest.LineB + "::/56"), Link: "eth2", Source: networkd.SourceLease}, {Prefix: netip.MustParsePrefix("fd00::/56")}}, addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1)},
			want: []string{gatewaytest.LineA + "::5/64 " + gatewaytest.CeA, gatewaytest.LineB + "::/56 was delegated on eth2", "fd00::/56 is not a global address"}},
		{name: "delegated somewhere, after one of the WAN", delegations: []networkd.Delegation{{Prefix: netip.MustParsePrefix(gatewaytest.LineC + "::/56")}, gatewaytest.Delegated(gatewaytest.LineB + "::/56")}, addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1)},
			want: []string{gatewaytest.LineB + "::/56 " + gatewaytest.CeB, gatewaytest.LineA + "::5/64 " + gatewaytest.CeA, gatewaytest.LineC + "::/56 " + gatewaytest.CeC}},
		{name: "delegated somewhere, after what the WAN has", delegations: []networkd.Delegation{{Prefix: netip.MustParsePrefix(gatewaytest.LineC + "::/56")}}, addresses: []kernel.Inet{gatewaytest.Static(gatewaytest.LineA + "::5/64")},
			want: []string{gatewaytest.LineA + "::5/64 " + gatewaytest.CeA, gatewaytest.LineC + "::/56 " + gatewaytest.CeC}},
		{name: "delegated somewhere, and nothing of the WAN that a rule covers", delegations: []networkd.Delegation{{Prefix: netip.MustParsePrefix(gatewaytest.LineC + "::/56")}}, addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.Uncovered+"::5/64", 1)},
			want: []string{gatewaytest.LineC + "::/56 " + gatewaytest.CeC, gatewaytest.Uncovered + "::5/64 no built-in rule covers"}},
		{name: "delegated somewhere, pd", section: "{wan-prefix: pd}", delegations: []networkd.Delegation{{Prefix: netip.MustParsePrefix(gatewaytest.LineC + "::/56")}}, addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1)},
			want: []string{gatewaytest.LineC + "::/56 " + gatewaytest.CeC, gatewaytest.LineA + "::5/64 is not delegated, and mape.wan-prefix is pd"}},
		{name: "ra", section: "{wan-prefix: ra}", delegations: []networkd.Delegation{gatewaytest.Delegated(gatewaytest.LineB + "::/56")}, addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1)},
			want: []string{gatewaytest.LineA + "::5/64 " + gatewaytest.CeA, gatewaytest.LineB + "::/56 is delegated, and mape.wan-prefix is ra"}},
		{name: "pd until now", delegations: []networkd.Delegation{gatewaytest.Delegated(gatewaytest.LineB + "::/56")}, addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1)}, asking: true,
			want: []string{gatewaytest.LineA + "::5/64 " + gatewaytest.CeA, gatewaytest.LineB + "::/56 is delegated because mape.wan-prefix was pd"}},
		{name: "pd until now, and nothing else", delegations: []networkd.Delegation{gatewaytest.Delegated(gatewaytest.LineB + "::/56")}, asking: true,
			want: []string{gatewaytest.LineB + "::/56 is delegated because mape.wan-prefix was pd"},
			err:  "eth1 has no other prefix than " + gatewaytest.LineB + "::/56, which is delegated because mape.wan-prefix was pd, and now it is auto; set mape.wan-prefix to pd, or set mape.prefix"},
		{name: "pd", section: "{wan-prefix: pd}", delegations: []networkd.Delegation{gatewaytest.Delegated("2400:4050:5c71:aff0::/60")}, addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1)},
			want: []string{"2400:4050:5c71:aff0::/60 " + gatewaytest.CeA, gatewaytest.LineA + "::5/64 is not delegated, and mape.wan-prefix is pd"}, warning: "2400:4050:5c71:aff0::/60 is not the first subnet"},
		{name: "own rules", section: "{br: '2001:db8:ffff::1', rules: [{ipv6: '2001:db8::/40', ipv4: 192.0.2.0/24, ea-bits: 16}]}", delegations: []networkd.Delegation{gatewaytest.Delegated(gatewaytest.LineB + "::/56")},
			addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1), gatewaytest.Advertised("2001:db8:12:3400::1/64", 1)},
			want:      []string{"2001:db8:12:3400::1/64 2001:db8:12:3400:0:c000:212:34", gatewaytest.LineB + "::/56 prefix", gatewaytest.LineA + "::5/64 prefix"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := gatewaytest.Lines(test.addresses...)
			f.Links[1].Addresses = test.addresses
			for i := range test.routers { // Which of them has the lowest metric does not matter here.
				f.Links[1].AddRouter6(netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: byte(i)}), i)
			}
			f.Delegations = test.delegations
			if test.owned != "" {
				f.Owned.Addresses = []facts.OwnedAddress{{Link: "eth1", Prefix: netip.MustParsePrefix(test.owned + "/128")}}
			}
			if test.asking {
				f.Owned.Requesting = []string{"eth1"}
			}
			section := gatewaytest.SectionOf(t, cmp.Or(test.section, "{}"))
			found, err := line.Find(section, f)
			all := found.Candidates
			var got []string
			for _, c := range all {
				says := c.Reason
				if says == "" {
					says = c.Softwire.CE().String()
				}
				got = append(got, fmt.Sprint(c.Prefix, " ", says))
			}
			if !slices.EqualFunc(got, test.want, strings.HasPrefix) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
			if !all[0].Usable {
				if !errors.Is(err, line.ErrNotYet) || test.err != "" && err.Error() != test.err {
					t.Errorf("the error is %v", err)
				}
				return
			}
			if err != nil || found.Softwire.CE() != all[0].Softwire.CE() {
				t.Errorf("Find takes %v, %v", found.Softwire.CE(), err)
			}
			if warnings := strings.Join(found.Softwire.WarningTexts(), "\n"); !strings.HasPrefix(warnings, test.warning) || (warnings == "") != (test.warning == "") {
				t.Errorf("warns %q, want %q", warnings, test.warning)
			}
		})
	}
}

// TestCandidatesOrder: what is chosen does not depend on the order in which the kernel lists addresses, and is one that
// can be chosen if any can.
func TestCandidatesOrder(t *testing.T) {
	pool := []kernel.Inet{
		gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1000), gatewaytest.Advertised(gatewaytest.LineB+"::5/64", 2000), gatewaytest.Advertised(gatewaytest.Uncovered+"::5/64", 3000),
		gatewaytest.Static(gatewaytest.LineC + "::5/64"), gatewaytest.Inet("fe80::1/64"), {Prefix: netip.MustParsePrefix(gatewaytest.LineC + "::6/64"), Deprecated: true},
	}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		some := slices.DeleteFunc(slices.Clone(pool), func(kernel.Inet) bool { return r.IntN(2) == 0 })
		var ces []string
		for range 5 {
			r.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
			found, err := line.Find(gatewaytest.SectionOf(t, "{}"), gatewaytest.Lines(some...))
			if err != nil && !errors.Is(err, line.ErrNotYet) {
				t.Fatal(err)
			}
			can := slices.ContainsFunc(some, func(i kernel.Inet) bool {
				return i.Origin != "" && !strings.HasPrefix(i.Prefix.String(), gatewaytest.Uncovered)
			})
			if can != (err == nil) {
				t.Fatalf("seed %d: of %v: %v, %v", seed, some, found, err)
			}
			ces = append(ces, fmt.Sprint(found.Softwire.CE()))
		}
		if len(slices.Compact(ces)) > 1 {
			t.Errorf("seed %d: %v makes %q", seed, some, ces)
		}
	}
}

// TestTunnelIsNoLine never takes the tunnel for the WAN, nor an address that it may have for the line's.
func TestTunnelIsNoLine(t *testing.T) {
	f := gatewaytest.Lines(gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1))
	f.Links = append(f.Links, kernel.Link{Name: "mape0", Kind: "ip6tnl", MTU: 1460, Default6: new(int), Addresses: []kernel.Inet{gatewaytest.Advertised(gatewaytest.LineB+"::5/64", 2)}})
	f.Owned.Tunnels = []string{"mape0"}
	*f.Links[1].Default6 = 1024
	if g := gatewaytest.MustResolve(t, "{}", f); g.WAN.Name != "eth1" || g.Softwire.CE().String() != gatewaytest.CeA {
		t.Errorf("the WAN is %s, the CE %s", g.WAN.Name, g.Softwire.CE())
	}
}

// TestPrefixOfAnotherLine: a section's prefix that the machine shows no sign of is warned of, and it may be a machine
// that is not on that line at all.
func TestPrefixOfAnotherLine(t *testing.T) {
	c := gatewaytest.SectionOf(t, "{prefix: '"+gatewaytest.LineB+"::/56'}")
	for _, test := range []struct {
		addresses        []kernel.Inet
		delegations      []networkd.Delegation
		warns, elsewhere bool
	}{
		{nil, nil, false, true},
		{[]kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1)}, nil, true, true},
		{[]kernel.Inet{gatewaytest.Advertised("2400:4050:5c71:b0f1::5/64", 1)}, nil, false, false},
		{nil, []networkd.Delegation{gatewaytest.Delegated(gatewaytest.LineA + "::/56")}, true, true},
		{nil, []networkd.Delegation{gatewaytest.Delegated(gatewaytest.LineB + "::/56")}, false, false},
		{[]kernel.Inet{gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1)}, []networkd.Delegation{gatewaytest.Delegated("2400:4050:5c71:b0f0::/60")}, false, false},
	} {
		f := gatewaytest.Lines(test.addresses...)
		f.Delegations = test.delegations
		g, err := gatewaytest.Resolve(c, f)
		if err != nil {
			t.Fatal(err)
		}
		want := "no address of eth1 is in " + gatewaytest.LineB + "::/56, the line that mape.prefix says"
		if slices.Contains(g.Warnings, want) != test.warns {
			t.Errorf("%v, %v: warns %q", test.addresses, test.delegations, g.Warnings)
		}
		if got := gatewaytest.Seek(c, f).Elsewhere; got != test.elsewhere {
			t.Errorf("%v, %v: elsewhere is %v", test.addresses, test.delegations, got)
		}
	}
}
