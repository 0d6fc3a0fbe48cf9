package reconcile

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// Prefixes of two lines of OCN and one of v6プラス, of which the rules make different CE addresses.
const (
	lineA, ceA = "2400:4050:5c71:af00", "2400:4050:5c71:af00:99:f171:c600:2f00"
	lineB, ceB = "2400:4050:5c71:b000", "2400:4050:5c71:b000:99:f171:c600:3000"
	lineC, ceC = "240b:10:1234:5600", "240b:10:1234:5600:6a:4812:3400:5600"
	nobodys    = "2001:db8:1:100" // no rule covers it
)

func advertised(p string, at uint32) Inet {
	return Inet{Prefix: netip.MustParsePrefix(p), Origin: OriginRA, Announced: at}
}

func static(p string) Inet { return Inet{Prefix: netip.MustParsePrefix(p), Origin: OriginStatic} }

func delegated(p string) Delegation {
	return Delegation{Prefix: netip.MustParsePrefix(p), Link: "eth1", Source: sourceRoute}
}

// TestCandidates chooses among everything that a WAN may have. Each line of want is a candidate, in order: its prefix,
// and the CE address that it comes to, or why it is not the one.
func TestCandidates(t *testing.T) {
	with := func(a Inet, change func(*Inet)) Inet { change(&a); return a }
	const minute = 6000
	for _, test := range []struct {
		name, section string
		delegations   []Delegation
		addresses     []Inet
		owned         string // the CE address of an earlier run
		asking        bool   // a file of one asks for a delegation
		want          []string
		warning       string // of the first
		err           string // where there is no first
	}{
		{name: "advertised", addresses: []Inet{advertised(lineA+"::5/64", 1)},
			want: []string{lineA + "::5/64 " + ceA}},
		{name: "advertised part of a home gateway's", addresses: []Inet{advertised("2400:4050:5c71:aff1::5/64", 1)},
			want: []string{"2400:4050:5c71:aff1::5/64 " + ceA}, warning: "2400:4050:5c71:aff1::/64 is not the first subnet of " + lineA + "::/56"},
		{name: "static", addresses: []Inet{static(lineA + "::5/64")},
			want: []string{lineA + "::5/64 " + ceA}},
		{name: "advertised before static before assigned", addresses: []Inet{
			with(static(lineC+"::7/128"), func(a *Inet) { a.Origin = OriginDHCP6 }), static(lineB + "::5/64"), advertised(lineA+"::5/64", 1)},
			want: []string{lineA + "::5/64 " + ceA, lineB + "::5/64 " + ceB, lineC + "::7/128 " + ceC}},
		{name: "announced last", addresses: []Inet{advertised(lineA+"::5/64", 10*minute), advertised(lineB+"::5/64", 11*minute)}, owned: ceA,
			want: []string{lineB + "::5/64 " + ceB, lineA + "::5/64 " + ceA}},
		{name: "announced last, the counter anew", addresses: []Inet{advertised(lineA+"::5/64", 1<<32-minute), advertised(lineB+"::5/64", 7)},
			want: []string{lineB + "::5/64 " + ceB, lineA + "::5/64 " + ceA}},
		{name: "announced together, no earlier run", addresses: []Inet{advertised(lineA+"::5/64", 10*minute), advertised(lineB+"::5/64", 10*minute+1)},
			want: []string{lineA + "::5/64 " + ceA, lineB + "::5/64 " + ceB}},
		{name: "announced together, an earlier run", addresses: []Inet{advertised(lineA+"::5/64", 10*minute), advertised(lineB+"::5/64", 10*minute)}, owned: ceB,
			want: []string{lineB + "::5/64 " + ceB, lineA + "::5/64 " + ceA}},
		{name: "what a rule covers", addresses: []Inet{advertised(nobodys+"::5/64", 11*minute), advertised(lineA+"::5/64", 10*minute)},
			want: []string{lineA + "::5/64 " + ceA, nobodys + "::5/64 no built-in rule covers"}},
		{name: "none that tells", addresses: []Inet{
			inet("fe80::1/64"), inet("fd00:1::1/64"), inet("2002:c000:204::1/16"), inet("4000::1/64"), inet("198.51.100.1/24"),
			with(advertised(lineA+"::6/64", 1), func(a *Inet) { a.Temporary = true }),
			with(advertised(lineA+"::7/64", 1), func(a *Inet) { a.Deprecated = true })},
			want: []string{"2002:c000:204::1/16 no built-in rule covers", lineA + "::6/64 is temporary", lineA + "::7/64 is deprecated",
				"fe80::1/64 is link-local", "fd00:1::1/64 is a unique local address", "4000::1/64 is not a global address"}},
		{name: "tentative and failed tell as well", addresses: []Inet{with(advertised(lineA+"::5/64", 1), func(a *Inet) { a.Tentative = true; a.Failed = true })},
			want: []string{lineA + "::5/64 " + ceA}},
		{name: "CE address of the same line, from somebody else", addresses: []Inet{static(ceA + "/128")},
			want: []string{ceA + "/128 is the CE address itself"}},
		{name: "CE address of an earlier run, on another line now", addresses: []Inet{static(ceA + "/64")}, owned: ceA,
			want: []string{ceA + "/64 is the CE address of an earlier run"}},
		{name: "delegation before an advertised prefix", delegations: []Delegation{delegated(lineB + "::/56")}, addresses: []Inet{advertised(lineA+"::5/64", 1)}, owned: ceA,
			want: []string{lineB + "::/56 " + ceB, lineA + "::5/64 " + ceA}},
		{name: "part of another line's", delegations: []Delegation{delegated("2400:4050:5c71:b0f0::/60")}, addresses: []Inet{advertised(lineA+"::5/64", 1)},
			want: []string{"2400:4050:5c71:b0f0::/60 " + ceB, lineA + "::5/64 " + ceA}, warning: "2400:4050:5c71:b0f0::/60 is not the first subnet of " + lineB + "::/56"},
		{name: "part of the same, on the home gateway's link", delegations: []Delegation{delegated("2400:4050:5c71:aff0::/60")}, addresses: []Inet{advertised(lineA+"::5/64", 1)},
			want: []string{lineA + "::5/64 " + ceA, "2400:4050:5c71:aff0::/60 " + ceA}},
		{name: "part of the same, elsewhere", delegations: []Delegation{delegated("2400:4050:5c71:aff0::/60")}, addresses: []Inet{advertised("2400:4050:5c71:aff1::5/64", 1)},
			want: []string{"2400:4050:5c71:aff1::5/64 " + ceA, "2400:4050:5c71:aff0::/60 " + ceA}, warning: "2400:4050:5c71:aff1::/64 is not the first subnet"},
		{name: "all of the same", delegations: []Delegation{delegated(lineA + "::/56")}, addresses: []Inet{advertised("2400:4050:5c71:aff1::5/64", 1)},
			want: []string{lineA + "::/56 " + ceA, "2400:4050:5c71:aff1::5/64 " + ceA}},
		{name: "part alone", delegations: []Delegation{delegated("2400:4050:5c71:aff0::/60")},
			want: []string{"2400:4050:5c71:aff0::/60 " + ceA}, warning: "2400:4050:5c71:aff0::/60 is not the first subnet of " + lineA + "::/56"},
		{name: "no rule covers the delegation", delegations: []Delegation{delegated(nobodys + "::/56")}, addresses: []Inet{advertised(lineA+"::5/64", 1)},
			want: []string{lineA + "::5/64 " + ceA, nobodys + "::/56 no built-in rule covers"}},
		{name: "too short", delegations: []Delegation{delegated("2400:4050:5c71::/48")}, addresses: []Inet{advertised(lineA+"::5/64", 1)},
			want: []string{lineA + "::5/64 " + ceA, "2400:4050:5c71::/48 prefix 2400:4050:5c71::/48 is too short"}},
		{name: "delegated elsewhere", delegations: []Delegation{{netip.MustParsePrefix(lineB + "::/56"), "eth2", sourceLease}, {Prefix: netip.MustParsePrefix("fd00::/56")}}, addresses: []Inet{advertised(lineA+"::5/64", 1)},
			want: []string{lineA + "::5/64 " + ceA, lineB + "::/56 was delegated by way of eth2", "fd00::/56 is not a global address"}},
		{name: "delegated somewhere, after one of the WAN", delegations: []Delegation{{Prefix: netip.MustParsePrefix(lineC + "::/56")}, delegated(lineB + "::/56")}, addresses: []Inet{advertised(lineA+"::5/64", 1)},
			want: []string{lineB + "::/56 " + ceB, lineA + "::5/64 " + ceA, lineC + "::/56 " + ceC}},
		{name: "delegated somewhere, after what the WAN has", delegations: []Delegation{{Prefix: netip.MustParsePrefix(lineC + "::/56")}}, addresses: []Inet{static(lineA + "::5/64")},
			want: []string{lineA + "::5/64 " + ceA, lineC + "::/56 " + ceC}},
		{name: "delegated somewhere, and nothing of the WAN that a rule covers", delegations: []Delegation{{Prefix: netip.MustParsePrefix(lineC + "::/56")}}, addresses: []Inet{advertised(nobodys+"::5/64", 1)},
			want: []string{lineC + "::/56 " + ceC, nobodys + "::5/64 no built-in rule covers"}},
		{name: "delegated somewhere, pd", section: "{wan-prefix: pd}", delegations: []Delegation{{Prefix: netip.MustParsePrefix(lineC + "::/56")}}, addresses: []Inet{advertised(lineA+"::5/64", 1)},
			want: []string{lineC + "::/56 " + ceC, lineA + "::5/64 is not delegated, and mape.wan-prefix is pd"}},
		{name: "ra", section: "{wan-prefix: ra}", delegations: []Delegation{delegated(lineB + "::/56")}, addresses: []Inet{advertised(lineA+"::5/64", 1)},
			want: []string{lineA + "::5/64 " + ceA, lineB + "::/56 is delegated, and mape.wan-prefix is ra"}},
		{name: "pd until now", delegations: []Delegation{delegated(lineB + "::/56")}, addresses: []Inet{advertised(lineA+"::5/64", 1)}, asking: true,
			want: []string{lineA + "::5/64 " + ceA, lineB + "::/56 is delegated because mape.wan-prefix was pd"}},
		{name: "pd until now, and nothing else", delegations: []Delegation{delegated(lineB + "::/56")}, asking: true,
			want: []string{lineB + "::/56 is delegated because mape.wan-prefix was pd"},
			err:  "eth1 has no other prefix than " + lineB + "::/56, which is delegated because mape.wan-prefix was pd, and now it is auto; set mape.wan-prefix to pd, or set mape.prefix"},
		{name: "pd", section: "{wan-prefix: pd}", delegations: []Delegation{delegated("2400:4050:5c71:aff0::/60")}, addresses: []Inet{advertised(lineA+"::5/64", 1)},
			want: []string{"2400:4050:5c71:aff0::/60 " + ceA, lineA + "::5/64 is not delegated, and mape.wan-prefix is pd"}, warning: "2400:4050:5c71:aff0::/60 is not the first subnet"},
		{name: "own rules", section: "{br: '2001:db8:ffff::1', rules: [{ipv6: '2001:db8::/40', ipv4: 192.0.2.0/24, ea-bits: 16}]}", delegations: []Delegation{delegated(lineB + "::/56")},
			addresses: []Inet{advertised(lineA+"::5/64", 1), advertised("2001:db8:12:3400::1/64", 1)},
			want:      []string{"2001:db8:12:3400::1/64 2001:db8:12:3400:0:c000:212:34", lineB + "::/56 prefix", lineA + "::5/64 prefix"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := lines(test.addresses...)
			f.Links[1].Addresses = test.addresses
			f.Delegations = test.delegations
			if test.owned != "" {
				f.Owned.Addresses = []OwnedAddress{{"eth1", netip.MustParsePrefix(test.owned + "/128")}}
			}
			if test.asking {
				f.Owned.Asking = []string{"eth1"}
			}
			section := sectionOf(t, cmp.Or(test.section, "{}"))
			line, err := Find(section, f)
			all := line.Candidates
			var got []string
			for _, c := range all {
				says := c.Reason
				if says == "" {
					says = c.Softwire.CE.String()
				}
				got = append(got, fmt.Sprint(c.Prefix, " ", says))
			}
			if !slices.EqualFunc(got, test.want, strings.HasPrefix) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
			if all[0].Reason != "" {
				if !errors.Is(err, ErrNotYet) || test.err != "" && err.Error() != test.err {
					t.Errorf("the error is %v", err)
				}
				return
			}
			if err != nil || line.Softwire.CE != all[0].Softwire.CE {
				t.Errorf("Find takes %v, %v", line.Softwire.CE, err)
			}
			if warnings := strings.Join(line.Softwire.WarningTexts(), "\n"); !strings.HasPrefix(warnings, test.warning) || (warnings == "") != (test.warning == "") {
				t.Errorf("warns %q, want %q", warnings, test.warning)
			}
		})
	}
}

// TestCandidatesOrder: what is chosen does not depend on the order in which the kernel lists addresses, and is one that
// can be chosen if any can.
func TestCandidatesOrder(t *testing.T) {
	pool := []Inet{
		advertised(lineA+"::5/64", 1000), advertised(lineB+"::5/64", 2000), advertised(nobodys+"::5/64", 3000),
		static(lineC + "::5/64"), inet("fe80::1/64"), {Prefix: netip.MustParsePrefix(lineC + "::6/64"), Deprecated: true},
	}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		some := slices.DeleteFunc(slices.Clone(pool), func(Inet) bool { return r.IntN(2) == 0 })
		var ces []string
		for range 5 {
			r.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
			line, err := Find(sectionOf(t, "{}"), lines(some...))
			if err != nil && !errors.Is(err, ErrNotYet) {
				t.Fatal(err)
			}
			can := slices.ContainsFunc(some, func(i Inet) bool {
				return i.Origin != "" && !strings.HasPrefix(i.Prefix.String(), nobodys)
			})
			if can != (err == nil) {
				t.Fatalf("seed %d: of %v: %v, %v", seed, some, line, err)
			}
			ces = append(ces, fmt.Sprint(line.Softwire.CE))
		}
		if len(slices.Compact(ces)) > 1 {
			t.Errorf("seed %d: %v makes %q", seed, some, ces)
		}
	}
}

// TestTunnelIsNoLine never takes the tunnel for the WAN, nor an address that it may have for the line's.
func TestTunnelIsNoLine(t *testing.T) {
	f := lines(advertised(lineA+"::5/64", 1))
	f.Links = append(f.Links, Link{Name: "mape0", Kind: "ip6tnl", MTU: 1460, Default6: new(int), Addresses: []Inet{advertised(lineB+"::5/64", 2)}})
	*f.Links[1].Default6 = 1024
	if g := mustResolve(t, "{}", f); g.WAN.Name != "eth1" || g.Softwire.CE.String() != ceA {
		t.Errorf("the WAN is %s, the CE %s", g.WAN.Name, g.Softwire.CE)
	}
}

// TestPrefixOfAnotherLine: a section's prefix that the machine shows no sign of is warned of, and it may be a machine
// that is not on that line at all.
func TestPrefixOfAnotherLine(t *testing.T) {
	c := sectionOf(t, "{prefix: '"+lineB+"::/56'}")
	for _, test := range []struct {
		addresses        []Inet
		delegations      []Delegation
		warns, elsewhere bool
	}{
		{nil, nil, false, true},
		{[]Inet{advertised(lineA+"::5/64", 1)}, nil, true, true},
		{[]Inet{advertised("2400:4050:5c71:b0f1::5/64", 1)}, nil, false, false},
		{nil, []Delegation{delegated(lineA + "::/56")}, true, true},
		{nil, []Delegation{delegated(lineB + "::/56")}, false, false},
		{[]Inet{advertised(lineA+"::5/64", 1)}, []Delegation{delegated("2400:4050:5c71:b0f0::/60")}, false, false},
	} {
		f := lines(test.addresses...)
		f.Delegations = test.delegations
		g, err := resolve(c, f)
		if err != nil {
			t.Fatal(err)
		}
		want := "no address of eth1 is in " + lineB + "::/56, the line that mape.prefix says"
		if slices.Contains(g.Warnings, want) != test.warns {
			t.Errorf("%v, %v: warns %q", test.addresses, test.delegations, g.Warnings)
		}
		if got := seek(c, f).Elsewhere(c, f); got != test.elsewhere {
			t.Errorf("%v, %v: elsewhere is %v", test.addresses, test.delegations, got)
		}
	}
}
