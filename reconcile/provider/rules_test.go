package provider

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/softwire"
)

func allRules(t testing.TB) []Rule {
	t.Helper()
	rules, err := Rules(Auto)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// parameters are what every rule of a provider has in common.
var parameters = map[string]struct {
	rules, offset, psidLen, ports int
}{
	"ocn":     {160, 6, 6, 1008},
	"v6plus":  {8, 4, 8, 240},
	"biglobe": {258, 4, 8, 240},
	"nuro":    {18, 4, 8, 240},
}

func TestTable(t *testing.T) {
	count := map[string]int{}
	for _, r := range allRules(t) {
		count[r.Provider]++
		if r.IPv6 != r.IPv6.Masked() || r.IPv4 != r.IPv4.Masked() {
			t.Errorf("%v or %v is not aligned", r.IPv6, r.IPv4)
		}
		if r.EndUserLen() != softwire.HomeLen {
			t.Errorf("%v: a line has a /%d, not a /%d", r.IPv6, r.EndUserLen(), softwire.HomeLen)
		}
		if r.InterfaceID != softwire.MAP03 {
			t.Errorf("%v: interface identifier %v", r.IPv6, r.InterfaceID)
		}
		want := parameters[r.Provider]
		psidLen := r.EABits - (32 - r.IPv4.Bits())
		if r.PSIDOffset != want.offset || psidLen != want.psidLen {
			t.Errorf("%v: offset %d and PSID of %d bits", r.IPv6, r.PSIDOffset, psidLen)
		}
		if r.Provider == "ocn" && r.IPv6.Bits()-r.IPv4.Bits() != 18 {
			t.Errorf("%v and %v differ by other than 18 bits", r.IPv6, r.IPv4)
		}
	}
	for name, want := range parameters {
		if count[name] != want.rules {
			t.Errorf("%s has %d rules, not %d", name, count[name], want.rules)
		}
	}
	if len(allRules(t)) != 444 {
		t.Errorf("%d rules", len(allRules(t)))
	}
}

// TestNoOverlaps is stricter than softwire.CheckRules: the IPv4 addresses are public, so no two border relays share them.
func TestNoOverlaps(t *testing.T) {
	var rules []softwire.Rule
	for _, r := range allRules(t) {
		rules = append(rules, r.Rule)
	}
	if err := softwire.CheckRules(rules); err != nil {
		t.Error(err)
	}
	for i, r := range rules {
		if r.IPv4.Addr().IsPrivate() {
			t.Errorf("%v is private", r.IPv4)
		}
		for _, other := range rules[:i] {
			if r.IPv4.Overlaps(other.IPv4) {
				t.Errorf("%v overlaps %v", r.IPv4, other.IPv4)
			}
		}
	}
}

// TestEveryRuleComputes takes the first and the last line of every rule.
func TestEveryRuleComputes(t *testing.T) {
	for _, r := range allRules(t) {
		last := r.IPv6.Addr().As16()
		for bit := r.IPv6.Bits(); bit < softwire.HomeLen; bit++ {
			last[bit/8] |= 1 << (7 - bit%8)
		}
		for _, addr := range []netip.Addr{r.IPv6.Addr(), netip.AddrFrom16(last)} {
			prefix := netip.PrefixFrom(addr, softwire.HomeLen)
			found, err := Find(Auto, prefix)
			if err != nil || found != r {
				t.Errorf("Find(%v) is %+v, %v; want %+v", prefix, found, err, r)
				continue
			}
			s, err := softwire.Compute([]softwire.Rule{found.Rule}, prefix, found.InterfaceID)
			if err != nil || s.Ports.Count() != parameters[r.Provider].ports || len(s.Warnings) > 0 {
				t.Errorf("%v: %d ports, %q, %v", prefix, s.Ports.Count(), s.Warnings, err)
			}
		}
	}
}

// TestCorners are the rows that other copies of the table have wrong.
func TestCorners(t *testing.T) {
	for _, test := range []struct{ prefix, provider, rule string }{
		{"240b:13::/56", "v6plus", "240b:13::/32 14.9.0.0/16 2404:9200:225:100::64"}, // missing in euank/v6plus-tun and atori74/v6plus
		{"2404:7a80::/56", "biglobe", "2404:7a80::/31 133.200.0.0/15 2001:260:700:1::1:275"},
		{"2404:7a81::/56", "biglobe", "2404:7a80::/31 133.200.0.0/15 2001:260:700:1::1:275"},
		{"2404:7a82:4d02:4100::/56", "biglobe", "2404:7a82:4c00::/38 133.209.12.0/22 2001:260:700:1::1:275"}, // reported from a line
		{"2404:7a83:ffff:ff00::/56", "biglobe", "2404:7a83:fc00::/38 %s 2001:260:700:1::1:275"},
		{"2404:7a84::/56", "biglobe", "2404:7a84::/31 133.206.0.0/15 2001:260:700:1::1:276"}, // the west has another border relay
		{"2404:7a86::/56", "biglobe", "2404:7a86::/38 %s 2001:260:700:1::1:276"},
		{"2404:7a87:ffff:ff00::/56", "biglobe", "2404:7a87:fc00::/38 %s 2001:260:700:1::1:276"},
		{"240d:f:1000::/56", "nuro", "240d:f:1000::/36 219.104.144.0/20 2001:3b8:200:ff9::1"}, // unsupported in missing233/map-e
		{"240d:f:a000::/56", "nuro", "240d:f:a000::/36 219.105.32.0/20 2001:3b8:200:ff9::1"},  // 219.104.138.0 in missing233/map-e
		{"240d:f:d000::/56", "nuro", "240d:f:d000::/36 219.105.80.0/20 2001:3b8:200:ff9::1"},  // 219.104.141.0 in missing233/map-e
		{"2400:4050:8000::/56", "ocn", "2400:4050:8000::/33 153.242.0.0/15 2001:380:a120::9"},
	} {
		r, err := Find(Auto, netip.MustParsePrefix(test.prefix))
		if err != nil {
			t.Error(err)
			continue
		}
		got := fmt.Sprint(r.IPv6, r.IPv4, r.BR)
		want := strings.Replace(test.rule, "%s", r.IPv4.String(), 1)
		if r.Provider != test.provider || got != want {
			t.Errorf("%s: %s %s, want %s", test.prefix, r.Provider, got, want)
		}
	}
}

// TestBorderRelays: BIGLOBE has one for the east of Japan and one for the west, the others have one.
func TestBorderRelays(t *testing.T) {
	relays := map[string][]string{}
	for _, r := range allRules(t) {
		if !slices.Contains(relays[r.Provider], r.BR.String()) {
			relays[r.Provider] = append(relays[r.Provider], r.BR.String())
		}
		west := netip.MustParsePrefix("2404:7a84::/30").Contains(r.IPv6.Addr())
		if r.Provider == "biglobe" && west != (r.BR.String() == "2001:260:700:1::1:276") {
			t.Errorf("%v has border relay %v", r.IPv6, r.BR)
		}
	}
	for name := range parameters {
		want := 1
		if name == "biglobe" {
			want = 2
		}
		if len(relays[name]) != want {
			t.Errorf("%s has border relays %q", name, relays[name])
		}
	}
}

func TestRules(t *testing.T) {
	sum := 0
	for _, name := range Names() {
		rules, err := Rules(name)
		if err != nil || len(rules) == 0 {
			t.Errorf("%s: %d rules, %v", name, len(rules), err)
		}
		sum += len(rules)
		if service(name) == name {
			t.Errorf("%s has no service", name)
		}
	}
	if sum != len(allRules(t)) {
		t.Errorf("the providers have %d rules together, the table has %d", sum, len(allRules(t)))
	}
	_, err := Rules("jpne")
	wantError(t, err, `provider "jpne" is unknown: it must be auto or ocn, v6plus, biglobe, nuro`)
	allRules(t)[0].Provider = "changed"
	if allRules(t)[0].Provider == "changed" {
		t.Error("a caller can change the table")
	}
}

func TestParseRefuses(t *testing.T) {
	const good = "ocn,2400:4050::/34,153.240.0.0/16,22,6,2001:380:a120::9,map-03,somewhere"
	if _, err := parse(heading + "\n" + good + "\n"); err != nil {
		t.Error(err)
	}
	for bad, want := range map[string]string{
		good:                        "rules.csv: line 1: the columns must be " + heading,
		heading + "\nocn,2400::/34": "rules.csv: line 2: must have 8 unquoted fields",
		heading + "\n" + good + "\n" + strings.Replace(good, "22", "x", 1):      `rules.csv: line 3: strconv.Atoi: parsing "x": invalid syntax`,
		heading + "\n" + strings.Replace(good, "map-03", "draft", 1):            `rules.csv: line 2: interface identifier "draft" is unknown: it must be "map-03" or "rfc7597"`,
		heading + "\n" + strings.Replace(good, "somewhere", `"here, there"`, 1): "rules.csv: line 2: must have 8 unquoted fields",
	} {
		_, err := parse(bad)
		wantError(t, err, want)
	}
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := parse(table); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	prefix := netip.MustParsePrefix("240d:10:1fff:ff00::/56")
	for b.Loop() {
		if _, err := Find(Auto, prefix); err != nil {
			b.Fatal(err)
		}
	}
}
