package hb46pp

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// v6connect is the answer of v6コネクト's server, but for its token (michalskalski/ipv4-over-ipv6, crates/hb46pp).
const v6connect = `{"ttl":86400,"token":"` + someToken + `","service_name":"v6 コネクト","dslite":{"aftr":"dslite.v6connect.net"},"order":["dslite"]}`

// version12 has all that version 1.2 of the protocol knows (michalskalski/ipv4-over-ipv6, crates/hb46pp).
const version12 = `{
  "enabler_name": "Example Enabler", "service_name": "Example Service", "isp_name": "Example ISP", "ttl": 86400, "token": "` + someToken + `",
  "order": ["map_e", "dslite", "lw4o6", "464xlat", "map_t", "ipip"], "ipv6_mostly": true,
  "map_e": {"version": 0, "mesh": true, "br": "2001:db8:1::1",
    "rules": [{"ipv6": "2001:db8:1:100::/56", "ipv4": "203.0.113.0/28", "ea_length": 8, "psid_offset": 4}]},
  "dslite": {"aftr": "aftr.example.net"},
  "lw4o6": {"lwaftr": "lwaftr.example.net", "ipv6": "2001:db8:3:100::/56", "ipv4": "203.0.113.16", "psid": 3, "psid_length": 8, "psid_offset": 6},
  "map_t": {"dmr": "2001:db8:5::/64", "rules": [{"ipv6": "2001:db8:5:100::/56", "ipv4": "203.0.113.32/28", "ea_length": 8, "psid_offset": 4}]},
  "464xlat": {"nat64prefix": "2001:db8:6::/96"},
  "ipip": [{"ipv6_local": "2001:db8:7::1", "ipv6_remote": "2001:db8:7::2", "ipv4": "192.0.2.17/30"}]
}`

// offered is what a reply offers, in its order.
func offered(r *Reply) string {
	var all []string
	for _, m := range r.Mechanisms() {
		text := string(m.Mode)
		for _, r := range m.Rules {
			text += fmt.Sprint(" ", r.IPv6, " ", r.IPv4, " ", r.EABits, " ", r.PSIDOffset, " ", r.BR, " ", r.DMR, " ", m.InterfaceID)
		}
		if m.FarEnd != "" {
			text += " " + m.FarEnd
		}
		if m.Binding.IPv4.IsValid() {
			text += fmt.Sprint(" ", m.Binding.IPv4, " ", m.Binding.Prefix, " ", m.Binding.Ports)
		}
		if m.Fixed.IPv4.IsValid() {
			text += fmt.Sprint(" ", m.Fixed.CE, " ", m.Fixed.IPv4)
		}
		if m.Mesh {
			text += " mesh"
		}
		all = append(all, text)
	}
	return strings.Join(all, "\n")
}

func TestMethods(t *testing.T) {
	const mapE = "map-e 2001:db8:1:100::/56 203.0.113.0/28 8 4 2001:db8:1::1 invalid Prefix map-03 mesh"
	const dsLite = "ds-lite aftr.example.net"
	const lw4o6 = "lw4o6 lwaftr.example.net 203.0.113.16 2001:db8:3:100::/56 {3 8 6}"
	const mapT = "map-t 2001:db8:5:100::/56 203.0.113.32/28 8 4 invalid IP 2001:db8:5::/64 rfc7597"
	const ipip = "ipip 2001:db8:7::2 2001:db8:7::1 192.0.2.17/30"
	order := func(names string) string {
		return strings.Replace(version12, `"map_e", "dslite", "lw4o6", "464xlat", "map_t", "ipip"`, names, 1)
	}
	for _, test := range []struct{ name, reply, want string }{
		{"v6コネクト", v6connect, "ds-lite dslite.v6connect.net"},
		{"version 1.2", version12, strings.Join([]string{mapE, dsLite, lw4o6, mapT, ipip}, "\n")},
		{"another order", order(`"ipip", "a_new_one", "map_t", "464xlat", "lw4o6"`), strings.Join([]string{ipip, mapT, lw4o6}, "\n")},
		{"twice", order(`"dslite", "dslite"`), dsLite},
		{"nothing", order(``), ""},
		{"nothing that is known", order(`"464xlat"`), ""},
		{"an AFTR by address", strings.Replace(order(`"dslite"`), "aftr.example.net", "2404:8e00::feed:100", 1), "ds-lite 2404:8e00::feed:100"},
		{"no PSID", strings.Replace(order(`"lw4o6"`), `, "psid": 3, "psid_length": 8, "psid_offset": 6`, ``, 1), "lw4o6 lwaftr.example.net 203.0.113.16 2001:db8:3:100::/56 {0 0 0}"},
		{"an empty ipip", strings.Replace(order(`"ipip", "dslite"`), `[{"ipv6_local": "2001:db8:7::1", "ipv6_remote": "2001:db8:7::2", "ipv4": "192.0.2.17/30"}]`, `[]`, 1), dsLite},
		{"two fixed addresses", strings.Replace(order(`"ipip"`), `"ipip": [`, `"ipip": [{"ipv6_local": "2001:db8:8::1", "ipv6_remote": "2001:db8:7::2", "ipv4": "192.0.2.1/32"}, `, 1), "ipip 2001:db8:7::2 2001:db8:8::1 192.0.2.1/32\n" + ipip},
		{"an error after a good one", strings.Replace(order(`"dslite", "lw4o6", "ipip"`), "203.0.113.16", "10.0.0.1", 1), dsLite + "\n" + ipip},
	} {
		r, err := ParseReply([]byte(test.reply))
		if err != nil || offered(r) != test.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", test.name, err, offered(r), test.want)
			continue
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		r.token = ""
		if again, err := ParseReply(text); err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%s: %s is read as %+v, %v", test.name, text, again, err)
		}
	}
}

// TestMethodsRefuse has a lie for every field of the methods, each of which is the first of its reply.
func TestMethodsRefuse(t *testing.T) {
	for _, test := range []struct{ method, from, to, want string }{
		{"dslite", `{"aftr": "aftr.example.net"}`, `7`, `dslite: must be a JSON object`},
		{"dslite", `{"aftr": "aftr.example.net"}`, `{}`, `dslite.aftr: is missing: it must be the name or the IPv6 address of the AFTR`},
		{"dslite", `"aftr.example.net"`, `""`, `dslite: aftr is missing: it must be an IPv6 address such as 2001:db8:ffff::1`},
		{"dslite", `"aftr.example.net"`, `"a b"`, `dslite: "a b" is not the name of a host`},
		{"dslite", `"aftr.example.net"`, `"aftr..net"`, `dslite: "aftr..net" is not the name of a host`},
		{"dslite", `"aftr.example.net"`, `"192.0.2.1"`, `dslite: aftr 192.0.2.1 is an IPv4 address: it must be a unicast IPv6 address that the line routes, such as 2001:db8:ffff::1`},
		{"dslite", `"aftr.example.net"`, `"::1"`, `dslite: aftr ::1 is a loopback address: it must be a unicast IPv6 address that the line routes, such as 2001:db8:ffff::1`},
		{"dslite", `"aftr.example.net"`, `"2001:db8::2%eth0"`, `dslite: aftr 2001:db8::2%eth0 is bound to one interface by its zone: it must be a unicast IPv6 address that the line routes, such as 2001:db8:ffff::1`},

		{"lw4o6", `"lwaftr.example.net"`, `"ff02::1"`, `lw4o6: lwaftr ff02::1 is a multicast address: it must be a unicast IPv6 address that the line routes, such as 2001:db8:ffff::1`},
		{"lw4o6", `"lwaftr": "lwaftr.example.net", `, ``, `lw4o6.lwaftr: is missing: it must be the name or the IPv6 address of the lwAFTR`},
		{"lw4o6", `"ipv6": "2001:db8:3:100::/56"`, `"ipv6": "2001:db8:3:100::1"`, `lw4o6.ipv6: "2001:db8:3:100::1" is not a prefix such as 2001:db8:12:3400::/56`},
		{"lw4o6", `"203.0.113.16"`, `"203.0.113.16/32"`, `lw4o6.ipv4: "203.0.113.16/32" is not an address such as 192.0.2.18`},
		{"lw4o6", `"203.0.113.16"`, `"192.168.1.1"`, `lw4o6.ipv4: ipv4 192.168.1.1/32 is private, and a provider's customers share addresses of the internet`},
		{"lw4o6", `"203.0.113.16"`, `"2001:db8::1"`, `lw4o6: ipv4 2001:db8::1/32 is an IPv6 prefix: it must be an IPv4 prefix such as 192.0.2.0/24, or an address`},
		{"lw4o6", `"psid_length": 8`, `"psid_length": 17`, `lw4o6.psid_length: 17 is outside 0 to 16`},
		{"lw4o6", `"psid": 3`, `"psid": 256`, `lw4o6: psid 0x100 does not fit psid-len 8: it must be at most 0xff, right-aligned`},
		{"lw4o6", `"psid_offset": 6`, `"psid_offset": 9`, `lw4o6: psid-offset 9 and psid-len 8 make 17, and a port has 16 bits: psid-offset must be at most 8, or psid-len at most 7`},

		{"map_t", `"dmr": "2001:db8:5::/64", `, ``, `map_t.dmr: is missing: it must be a prefix such as 2001:db8:ffff::/64`},
		{"map_t", `2001:db8:5::/64`, `2001:db8:5::/65`, `map_t.rules[0]: dmr 2001:db8:5::/65 must have 32, 40, 48, 56, 64 or 96 bits (RFC 6052 section 2.2)`},
		{"map_t", `203.0.113.32/28`, `10.0.0.0/28`, `map_t.rules[0]: ipv4 10.0.0.0/28 is private, and a provider's customers share addresses of the internet`},
		{"map_t", `"ipv4": "203.0.113.32/28", `, ``, `map_t.rules[0].ipv4: is missing: it must be a prefix such as 192.0.2.0/24`},

		{"ipip", `{"ipv6_local"`, `7, {"ipv6_local"`, `ipip[0]: must be a JSON object`},
		{"ipip", `[{"ipv6_local"`, `{"x": [{"ipv6_local"`, `the answer is not JSON`},
		{"ipip", `"ipv6_local": "2001:db8:7::1", `, ``, `ipip[0].ipv6_local: is missing: it must be an address such as 2001:db8:12:3400::1`},
		{"ipip", `"2001:db8:7::2"`, `"fe80::2"`, `ipip[0]: br fe80::2 is a link-local address: it must be a unicast IPv6 address that the line routes, such as 2001:db8:ffff::1`},
		{"ipip", `"192.0.2.17/30"`, `"192.0.2.17"`, `ipip[0].ipv4: "192.0.2.17" is not a prefix such as 192.0.2.18/32`},
		{"ipip", `"192.0.2.17/30"`, `"100.64.0.1/32"`, `ipip[0].ipv4: ipv4 100.64.0.1/32 is private, and a provider's customers share addresses of the internet`},
	} {
		if !strings.Contains(version12, test.from) {
			t.Fatalf("%s is not in the reply", test.from)
		}
		reply := strings.Replace(strings.Replace(version12, test.from, test.to, 1), `["map_e", `, `["`+test.method+`", "map_e", `, 1)
		_, err := ParseReply([]byte(reply))
		wantError(t, err, test.want)
	}
	for _, method := range []string{"dslite", "lw4o6", "map_t", "ipip"} {
		_, err := ParseReply([]byte(`{"order": ["` + method + `"]}`))
		wantError(t, err, method+": is missing: it must be what order names")
	}
	if _, err := ParseReply([]byte(`{"order": ["ipip"], "ipip": {}}`)); err == nil {
		t.Error(err)
	}
}
