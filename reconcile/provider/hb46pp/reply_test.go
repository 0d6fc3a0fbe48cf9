package hb46pp

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/softwire"
)

// sample is a reply in the form of the specification's example, with documentation's prefixes.
const sample = `{
  "enabler_name": "A VNE", "service_name": "Highspeed 4over6", "isp_name": "ISP-A", "ttl": 86400,
  "token": "` + someToken + `", "auth": "ok", "order": ["464xlat", "map_e", "dslite"],
  "map_e": {"version": 0, "mesh": true, "br": "2001:db8:1::1",
    "rules": [{"ipv6": "2001:db8:1:2000::/52", "ipv4": "203.0.113.0/24", "ea_length": 12, "psid_offset": 4}]},
  "dslite": {"aftr": "aftr.example.net"}, "ipip": "whatever", "464xlat": {"nat64prefix": "2001:db8:6::/96"}, "new": 1
}`

func TestParseReply(t *testing.T) {
	r, err := ParseReply([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	ttl := 86400
	want := &Reply{Enabler: "A VNE", Service: "Highspeed 4over6", ISP: "ISP-A", Seconds: &ttl, Auth: "ok",
		Order: []string{"464xlat", "map_e", "dslite"}, token: someToken,
		MAPE: &MAPE{Mesh: true, BR: netip.MustParseAddr("2001:db8:1::1"),
			Rules: []Rule{{netip.MustParsePrefix("2001:db8:1:2000::/52"), netip.MustParsePrefix("203.0.113.0/24"), 12, 4}}},
		DSLite: &DSLite{"aftr.example.net"}}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("%+v\nwant %+v", r, want)
	}
	if r.TTL() != 24*time.Hour || r.Name() != "Highspeed 4over6 (A VNE)" || r.Offers() != nil {
		t.Errorf("ttl %v, name %s, %v", r.TTL(), r.Name(), r.Offers())
	}
	if r.MAPE.InterfaceID() != softwire.MAP03 {
		t.Errorf("interface identifier %v", r.MAPE.InterfaceID())
	}
	// As JSON it says the same, but for the token.
	text, err := json.Marshal(r)
	if err != nil || strings.Contains(string(text), someToken) {
		t.Errorf("%s, %v", text, err)
	}
	again := new(Reply)
	if err := json.Unmarshal(text, again); err != nil {
		t.Fatal(err)
	}
	want.token = ""
	if !reflect.DeepEqual(again, want) {
		t.Errorf("%+v\nwant %+v", again, want)
	}
}

// TestParseReplyForms: what may be left out, or be written in two ways.
func TestParseReplyForms(t *testing.T) {
	for change, look := range map[[2]string]func(*Reply) bool{
		{`"version": 0, `, ``}:                                 func(r *Reply) bool { return r.MAPE.InterfaceID() == softwire.MAP03 },
		{`"version": 0`, `"version": 1`}:                       func(r *Reply) bool { return r.MAPE.InterfaceID() == softwire.RFC7597 },
		{`"mesh": true, `, ``}:                                 func(r *Reply) bool { return !r.MAPE.Mesh },
		{`"mesh": true`, `"mesh": 1`}:                          func(r *Reply) bool { return r.MAPE.Mesh },
		{`"mesh": true`, `"mesh": 0`}:                          func(r *Reply) bool { return !r.MAPE.Mesh },
		{`"mesh": true`, `"mesh": null`}:                       func(r *Reply) bool { return !r.MAPE.Mesh },
		{`"ttl": 86400,`, ``}:                                  func(r *Reply) bool { return r.TTL() < 0 },
		{`"ttl": 86400`, `"ttl": 604800`}:                      func(r *Reply) bool { return r.TTL() == MostTTL },
		{`"auth": "ok", `, ``}:                                 func(r *Reply) bool { return r.Auth == "" },
		{`"service_name": "Highspeed 4over6", `, ``}:           func(r *Reply) bool { return r.Name() == "A VNE" },
		{`"enabler_name": "A VNE", `, ``}:                      func(r *Reply) bool { return r.Name() == "Highspeed 4over6" },
		{`"enabler_name": "A VNE"`, `"enabler_name": null`}:    func(r *Reply) bool { return r.Name() == "Highspeed 4over6" },
		{`"enabler_name": "A VNE"`, `"Enabler_Name": "A VNE"`}: func(r *Reply) bool { return r.Name() == "Highspeed 4over6" },
		{`"dslite": {`, `"ds-lite": {`}:                        func(r *Reply) bool { return r.DSLite == nil && r.Offers() == nil },
		{`"aftr.example.net"`, `"fe80::1"`}:                    func(r *Reply) bool { return r.DSLite == nil && r.Offers() == nil },
		{`"token": "` + someToken + `", `, ``}:                 func(r *Reply) bool { return r.token == "" },
		{`"464xlat", "map_e"`, `"a_new_method", "map_e"`}:      func(r *Reply) bool { return r.Order[0] == "a_new_method" && r.Offers() == nil },
	} {
		r, err := ParseReply([]byte(replaced(t, change[0], change[1])))
		if err != nil || !look(r) {
			t.Errorf("%s to %s: %+v, %v", change[0], change[1], r, err)
		}
	}
}

func replaced(t *testing.T, from, to string) string {
	t.Helper()
	if !strings.Contains(sample, from) {
		t.Fatalf("%s is not in the sample", from)
	}
	return strings.Replace(sample, from, to, 1)
}

// TestParseReplyRefuses has a lie for every field.
func TestParseReplyRefuses(t *testing.T) {
	const rule = `{"ipv6": "2001:db8:1:2000::/52", "ipv4": "203.0.113.0/24", "ea_length": 12, "psid_offset": 4}`
	long := strings.Repeat("x", 255)
	for _, test := range []struct{ from, to, want string }{
		{`"A VNE"`, `7`, `enabler_name: "7" is not a string`},
		{`"A VNE"`, `"` + long + `"`, `enabler_name: has 257 bytes with its quotes; at most 256 are allowed`},
		{`"ISP-A"`, `"ISP\u001b[2J"`, `isp_name: "ISP\x1b[2J" has an unprintable character`},
		{`"Highspeed 4over6"`, `{}`, `service_name: "{}" is not a string`},
		{`86400`, `604801`, `ttl: 604801 is outside 0 to 604800`},
		{`86400`, `-1`, `ttl: -1 is outside 0 to 604800`},
		{`86400`, `1e5`, `ttl: "1e5" is not a whole number`},
		{`86400`, `"86400"`, `ttl: "\"86400\"" is not a whole number`},
		{`86400`, `9999999999999999999999999`, `ttl: 99999999999999999999… is outside 0 to 604800`},
		{someToken, someToken[1:], `token: must be 64 digits and letters from a to f`},
		{someToken, strings.ToUpper(someToken), `token: must be 64 digits and letters from a to f`},
		{`"auth": "ok"`, `"auth": "maybe"`, `auth: "maybe" is unknown: it must be req, bad or ok`},
		{`"order": ["464xlat", "map_e", "dslite"]`, `"orders": []`, `order: is missing: it must be a list such as ["map_e"]`},
		{`["464xlat", "map_e", "dslite"]`, `"map_e"`, `order: "\"map_e\"" is not a list: it must be a list such as ["map_e"]`},
		{`"464xlat", `, `464, `, `order[0]: "464" is not the name of a method such as map_e`},
		{`"464xlat", `, `"a b", `, `order[0]: "\"a b\"" is not the name of a method such as map_e`},
		{`"464xlat", `, strings.Repeat(`"dslite",`, 31), `order: must have at most 32 entries, not 33`},
		{`"map_e": {`, `"mape": {`, `map_e: is missing: it must be what order names`},
		{`"map_e": {`, `"map_e": 1, "x": {`, `map_e: must be a JSON object`},
		{`"version": 0`, `"version": 2`, `map_e.version: 2 is outside 0 to 1`},
		{`"mesh": true`, `"mesh": "yes"`, `map_e.mesh: "\"yes\"" must be true or false`},
		{`"br": "2001:db8:1::1",`, ``, `map_e.br: is missing: it must be the IPv6 address of the border relay`},
		{`"br": "2001:db8:1::1"`, `"br": "br.example.net"`, `map_e.br: "br.example.net" is not an IPv6 address`},
		{`"br": "2001:db8:1::1"`, `"br": "192.0.2.1"`, `map_e.rules[0]: br 192.0.2.1 is an IPv4 address: it must be a unicast IPv6 address that the line routes, such as 2001:db8:ffff::1`},
		{`"br": "2001:db8:1::1"`, `"br": "fe80::1"`, `map_e.rules[0]: br fe80::1 is a link-local address: it must be a unicast IPv6 address that the line routes, such as 2001:db8:ffff::1`},
		{`"rules": [` + rule + `]`, `"rule": 1`, `map_e.rules: is missing: it must be a list of rules`},
		{`[` + rule + `]`, `{}`, `map_e.rules: "{}" is not a list: it must be a list of rules`},
		{`[` + rule + `]`, `[]`, `map_e.rules: is empty: it must have at least the rule of this line`},
		{`[` + rule + `]`, `[7]`, `map_e.rules[0]: must be a JSON object`},
		{`"ipv6": "2001:db8:1:2000::/52", `, ``, `map_e.rules[0].ipv6: is missing: it must be a prefix such as 2001:db8::/40`},
		{`"2001:db8:1:2000::/52"`, `"2001:db8:1:2000::"`, `map_e.rules[0].ipv6: "2001:db8:1:2000::" is not a prefix such as 2001:db8::/40`},
		{`"2001:db8:1:2000::/52"`, `"2001:db8:1:2fff::/52"`, `map_e.rules[0]: ipv6 2001:db8:1:2fff::/52 has bits set after its first 52: write 2001:db8:1:2000::/52, or correct the length`},
		{`"2001:db8:1:2000::/52"`, `"203.0.113.0/24"`, `map_e.rules[0]: ipv6 203.0.113.0/24 must be a global IPv6 prefix of the provider, such as 2001:db8:12:3400::/56: 203.0.113.0 is an IPv4 address`},
		{`"ipv4": "203.0.113.0/24", `, ``, `map_e.rules[0].ipv4: is missing: it must be a prefix such as 192.0.2.0/24`},
		{`"203.0.113.0/24"`, `"203.0.113.0/33"`, `map_e.rules[0].ipv4: "203.0.113.0/33" is not a prefix such as 192.0.2.0/24`},
		{`"ea_length": 12, `, ``, `map_e.rules[0].ea_length: is missing: it must be a whole number from 0 to 48`},
		{`"ea_length": 12`, `"ea_length": 49`, `map_e.rules[0].ea_length: 49 is outside 0 to 48`},
		{`"ea_length": 12`, `"ea_length": 25`, `map_e.rules[0]: ea-bits 25 is more than 203.0.113.0/24 can use: 8 bits of IPv4 suffix and 16 of PSID make at most 24`},
		{`, "psid_offset": 4`, ``, `map_e.rules[0].psid_offset: is missing: it must be a whole number from 0 to 15`},
		{`"psid_offset": 4`, `"psid_offset": 16`, `map_e.rules[0].psid_offset: 16 is outside 0 to 15`},
		{`"psid_offset": 4`, `"psid_offset": 13`, `map_e.rules[0]: psid-offset 13 and the PSID, which is 4 of ea-bits 12, make 17, and a port has 16 bits: psid-offset must be at most 12, or ea-bits at most 11`},
		{rule, rule + "," + rule, `map_e.rules: rule 2: ipv6 2001:db8:1:2000::/52 is that of rule 1, too: a prefix must have one rule only, so remove or correct one of the two`},
	} {
		_, err := ParseReply([]byte(replaced(t, test.from, test.to)))
		wantError(t, err, test.want)
	}
	for _, bad := range []string{"", "{", "<html>", sample + sample, "\ufeff" + sample, sample[:len(sample)-2]} {
		_, err := ParseReply([]byte(bad))
		wantError(t, err, "the answer is not JSON")
	}
	for _, bad := range []string{"7", "null", "[]", `"x"`} {
		_, err := ParseReply([]byte(bad))
		wantError(t, err, "the answer: must be a JSON object")
	}
}

func TestOffers(t *testing.T) {
	for _, test := range []struct{ rest, want string }{
		{`"order": ["464xlat", "new"], "map_e": {}`, "S (E) offers this line 464xlat, new, and only map_e, map_t, lw4o6, dslite, ipip are supported"},
		{`"order": ["ipip"], "ipip": []`, "S (E) offers this line ipip, and only map_e, map_t, lw4o6, dslite, ipip are supported"},
		{`"order": []`, "S (E) offers this line nothing (order: [])"},
		{`"order": [], "auth": "ok"`, "S (E) offers this line nothing (order: [])"},
		{`"order": [], "auth": "req"`, "S (E) offers this line nothing without a user and a password (order: [])"},
		{`"order": [], "auth": "bad"`, "S (E) rejects the user or the password, and offers this line nothing without them (order: [])"},
	} {
		r, err := ParseReply([]byte(`{"enabler_name": "E", "service_name": "S", ` + test.rest + `}`))
		if err != nil {
			t.Errorf("%s: %v", test.rest, err)
			continue
		}
		wantError(t, r.Offers(), test.want)
	}
}

// manyRules is a reply with so many.
func manyRules(n int) string {
	var rules []string
	for i := range n {
		rules = append(rules, fmt.Sprintf(`{"ipv6": "2001:db8:%x::/48", "ipv4": "20.%d.%d.0/24", "ea_length": 16, "psid_offset": 4}`, i, i/256, i%256))
	}
	return fmt.Sprintf(`{"enabler_name": "E", "order": ["map_e"], "map_e": {"br": "2001:db8:ffff::1", "rules": [%s]}}`, strings.Join(rules, ","))
}

// TestManyRules: 256 is what every CPE must take, and no bound of what a server may send.
func TestManyRules(t *testing.T) {
	for _, n := range []int{1, 256, 258, 300, MostRules} {
		r, err := ParseReply([]byte(manyRules(n)))
		if err != nil || len(r.MAPE.Rules) != n {
			t.Fatalf("%d rules: %v", n, err)
		}
		// The last one is as good as the first.
		prefix := netip.MustParsePrefix(fmt.Sprintf("2001:db8:%x:3400::/64", n-1))
		if s, err := softwire.Compute(r.MAPE.Softwire(), prefix, r.MAPE.InterfaceID()); err != nil || s.Origin.Rule.IPv6 != r.MAPE.Rules[n-1].IPv6 {
			t.Errorf("%d rules: %+v, %v", n, s, err)
		}
	}
	_, err := ParseReply([]byte(manyRules(MostRules + 1)))
	wantError(t, err, "map_e.rules: must have at most 1024 entries, not 1025")
	if size := int64(len(manyRules(MostRules))); size*5 > DefaultLimits.Body {
		t.Errorf("%d rules have %d bytes: the limit leaves no room", MostRules, size)
	}
}

func FuzzParseReply(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(manyRules(3)))
	f.Add([]byte(version12))
	f.Add([]byte(v6connect))
	f.Add([]byte(`{"enabler_name":"","order":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseReply(data)
		if err != nil {
			return
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseReply(text); err != nil {
			t.Errorf("%s is good, and %s is not: %v", data, text, err)
		}
		if (r.Offers() == nil) != (len(r.Mechanisms()) > 0) {
			t.Errorf("%s: %v", data, r.Offers())
		}
		for _, m := range r.Mechanisms() {
			for _, rule := range m.Rules {
				if err := rule.Check(); err != nil {
					t.Errorf("%s: %v", data, err)
				}
			}
			if err := m.Check(); err != nil {
				t.Errorf("%s: %+v: %v", data, m, err)
			}
		}
	})
}

// TestPrivateRules: a reply cannot share addresses that are not of the internet.
func TestPrivateRules(t *testing.T) {
	for ipv4, refused := range map[string]bool{
		"10.1.0.0/16": true, "100.64.0.0/10": true, "172.16.0.0/24": true, "192.168.1.0/24": true, "0.1.0.0/16": true, "240.0.0.0/8": true, "127.0.0.0/24": true,
		"100.128.0.0/16": false, "172.32.0.0/16": false, "192.169.0.0/16": false, "11.0.0.0/16": false,
	} {
		_, err := ParseReply([]byte(strings.Replace(manyRules(1), "20.0.0.0/24", ipv4, 1)))
		if (err != nil) != refused {
			t.Errorf("%s: %v", ipv4, err)
		}
	}
}
