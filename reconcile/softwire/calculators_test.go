package softwire_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"mape-netplan/reconcile/softwire"
)

var calculatorExceptions = map[string]exception{
	"openwrt-mapcalc/pd-shorter-48-legacy": {
		disagrees: "prefix 240b:10:2a40::/48 is too short for rule 240b:10::/31",
		reason:    "the tool reads the missing bits as 0 and so takes another customer's PSID",
	},
	"openwrt-mapcalc/psidlen-shorter-than-derived": {
		disagrees: "psid_len is 6 there, Compute gives 8",
		reason: "16 EA bits after a /24 are 8 of suffix and 8 of PSID (RFC 7597 section 5.2: q = o - p); told 6, the " +
			"tool takes the suffix from the first 8 and the PSID from the last 6 and drops two, so the border relay " +
			"expects other ports",
	},
	"openwrt-mapcalc/bad-offset-plus-psidlen-gt16": {
		disagrees: "psid-offset 6 and the PSID, which is 12 of ea-bits 20, make 18",
		reason:    "the tool shifts by a negative number and prints ports above 65535",
	},
	"openwrt-mapcalc/bad-prefix4len33": {
		disagrees: "ipv4 is missing or not a prefix",
		reason:    "the tool skips the invalid length and goes on with 32",
	},
	"openwrt-mapcalc/bad-negative-ealen": {
		disagrees: "ea-bits -1 must be from 0",
		reason:    "the tool skips the invalid length and derives it from the prefix",
	},
	"euank/v6plus-tun calculate/2400:4050:5c71:af00::": {
		disagrees: "it is refused there",
		reason:    "the tool has no OCN rule: that is its table, not its arithmetic",
	},
	"negineri/mapeced map calc/rfc7597-ex1-draft": {
		disagrees: "ce is 2001:db8:12:3400:c0:2:1234:0 there, Compute gives 2001:db8:12:3400:c0:2:1200:3400",
		reason:    "the program left-aligns the PSID in its 16 bits; map-03 and every other implementation right-align it",
	},
}

// calculatorLine is one run of another program.
type calculatorLine struct {
	Tool      string          `json:"tool"`
	Case      string          `json:"case"`
	Args      []string        `json:"args"`
	Output    json.RawMessage `json:"output"`
	Undefined []string        `json:"tool_undefined_behaviour"`
	Note      string          `json:"note"`
}

var calculators = map[string]func(calculatorLine) (claim, error){
	"openwrt-mapcalc":                         mapcalcClaim,
	"fc2-map-e-js (missing233/map-e)":         fc2Claim,
	"luci-app-fleth map-e calc":               flethClaim,
	"euank/v6plus-tun calculate":              v6plusTunClaim,
	"negineri/mapeced map calc":               mapecedClaim,
	"pyswmap MapCalc":                         pyswmapClaim,
	"skubota/mapcalc Map6to4 (ipv4,psid hex)": map6to4Claim,
}

func TestCalculators(t *testing.T) {
	f, err := os.Open("testdata/calculators.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var claims []claim
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var line calculatorLine
		if err := strict(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		c, err := line.claim()
		if err != nil {
			t.Errorf("%s: cannot be interpreted: %v", c.name, err)
			continue
		}
		claims = append(claims, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(claims) != 47 {
		t.Errorf("%d lines were checked, the file has 47", len(claims))
	}
	checkClaims(t, claims, calculatorExceptions)
}

func (l calculatorLine) claim() (claim, error) {
	name := l.Case
	if name == "" {
		name = l.Args[len(l.Args)-1]
		if l.Args[0] != "calc" {
			name = l.Args[0]
		}
	}
	c := claim{}
	read, known := calculators[l.Tool]
	if !known {
		return claim{name: name}, fmt.Errorf("tool %q", l.Tool)
	}
	c, err := read(l)
	c.name = l.Tool + "/" + name
	return c, err
}

// strict decodes JSON and refuses what the value has no field for, so that nothing a source says is overlooked.
func strict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// ruleOf makes a rule of the parts that the tools take, which may be invalid on purpose: an invalid length makes an
// invalid prefix.
func ruleOf(ipv6 string, ipv6Len int, ipv4 string, ipv4Len, eaBits, offset int, br string) (*softwire.Rule, error) {
	a6, err := netip.ParseAddr(ipv6)
	if err != nil {
		return nil, err
	}
	a4, err := netip.ParseAddr(ipv4)
	if err != nil {
		return nil, err
	}
	relay := netip.MustParseAddr("2001:db8:ffff::1")
	if br != "" {
		if relay, err = netip.ParseAddr(br); err != nil {
			return nil, err
		}
	}
	return &softwire.Rule{
		IPv6:   netip.PrefixFrom(a6, ipv6Len),
		IPv4:   netip.PrefixFrom(a4, ipv4Len),
		EABits: eaBits, PSIDOffset: offset, BR: relay,
	}, nil
}

// words reads "key=value" words.
func words(fields []string) map[string]string {
	all := map[string]string{}
	for _, f := range fields {
		key, value, _ := strings.Cut(f, "=")
		all[key] = value
	}
	return all
}

// numbers reads decimal or 0x numbers; an empty one is -1, which is a valid value of none.
func numbers(texts ...string) ([]int, error) {
	var all []int
	for _, text := range texts {
		n, err := number(text, -1)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}
