package s46_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/provider/offer"
	"mape-netplan/reconcile/provider/s46"
	"mape-netplan/reconcile/provider/s46/s46test"
	"mape-netplan/reconcile/softwire"
)

// A vector is the data of one option, and what it says: null where it is to be ignored.
type vector struct {
	Option            uint16
	Hex, Source, Note string
	Value             any
}

func vectors(t testing.TB) (all []vector) {
	data, err := os.ReadFile("testdata/options.json")
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var option = s46test.Option

func replyOf(t testing.TB, text string) *s46.Reply {
	t.Helper()
	r := new(s46.Reply)
	if err := r.UnmarshalText([]byte(text)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return r
}

// said is a mechanism with the words of the vectors.
func said(m offer.Mechanism) any {
	var rules []any
	for _, r := range m.Rules {
		if r.PSID == nil {
			r.PSID = new(softwire.PSID)
		}
		rules = append(rules, map[string]any{"fmr": m.Mesh, "ea_length": r.EABits, "ipv4": r.IPv4, "ipv6": r.IPv6,
			"psid_offset": r.PSIDOffset, "psid_length": r.PSID.Len, "psid": r.PSID.Value})
	}
	switch m.Mode {
	case softwire.DSLite:
		return m.FarEnd
	case softwire.MAPE:
		return map[string]any{"rules": rules, "br": []any{m.Rules[0].BR}}
	case softwire.MAPT:
		return map[string]any{"rules": rules, "dmr": m.Rules[0].DMR}
	}
	return map[string]any{"br": []any{m.FarEnd}, "bind": map[string]any{"ipv4": m.Binding.IPv4, "prefix": m.Binding.Prefix,
		"psid_offset": m.Binding.Ports.PSIDOffset, "psid_length": m.Binding.Ports.PSIDLen, "psid": m.Binding.Ports.PSID}}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		r := replyOf(t, option(v.Option, v.Hex))
		var got any
		switch {
		case v.Option == 111: // It has only to order the others: see TestOrder.
			continue
		case len(r.Mechanisms) == 1:
			data, _ := json.Marshal(said(r.Mechanisms[0]))
			json.Unmarshal(data, &got)
		}
		if len(r.Mechanisms) > 1 || !reflect.DeepEqual(got, v.Value) || (v.Value == nil) != (len(r.Ignored) == 1) {
			t.Errorf("option %d, %s:\n  %v, ignored %q\nwant\n  %v", v.Option, v.Hex, got, r.Ignored, v.Value)
		}
	}
}

const (
	ruleA = "0059000d" + "0010" + "18c0000200" + "2820010db800" // 2001:db8::/40 192.0.2.0/24 16
	ruleB = "0059000d" + "0110" + "18c6336400" + "2820010db8ff" // 2001:db8:ff00::/40 198.51.100.0/24 16, forwarding
	relay = "005a0010" + "20010db8ffff00000000000000000001"
	dmr64 = "005b0009" + "4020010db8ffff0000"
	bound = "005c000c" + "c0000212" + "3820010db8001234"
	aftr  = "0161016200"
)

func fix(t testing.TB, o string) string { // its length, which is of what is behind the first four bytes
	t.Helper()
	b, err := hex.DecodeString(o)
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-4))
	return hex.EncodeToString(b)
}

// TestContainers holds the decoder to the rules of RFC 6334, 7598 and 8026: what violates one is ignored, with a reason.
func TestContainers(t *testing.T) {
	t.Parallel()
	rule := func(head string, params string) string { return fix(t, "00590000"+head+params) }
	const c8 = "001018c0000200" + "2820010db800" // flags 0, 16 EA bits
	for _, test := range []struct {
		name, reply, want string
		ignored           string // a part of the only reason; "": none
	}{
		{"nothing", "", "", ""},
		{"two rules, two relays: the first", option(94, ruleA+relay+ruleB+strings.Replace(relay, "0001", "0002", 1)),
			"map-e 2001:db8::/40 192.0.2.0/24 16 6 - 2001:db8:ffff::1, 2001:db8:ff00::/40 198.51.100.0/24 16 6 - 2001:db8:ffff::1 mesh", ""},
		{"no rule", option(94, relay), "", "MAP-E container (94): it has no rule (89)"},
		{"no relay", option(94, ruleA), "", "MAP-E container (94): it has no border relay (90)"},
		{"a relay of 15 bytes", option(94, ruleA+relay+"005a000f"+strings.Repeat("20", 15)), "map-e 2001:db8::/40 192.0.2.0/24 16 6 - 2001:db8:ffff::1", "border relay (90): it has 15 bytes"},
		{"empty container", option(94, ""), "", "it has no border relay"},
		{"cut off", option(94, ruleA+relay+"005a"), "", "an option is longer than what it is in"},
		{"a rule that runs over", option(94, relay+"005900ff"+c8), "", "an option is longer than what it is in"},
		{"one rule of two is wrong", option(94, ruleA+relay+rule("00ff18c0000200"+"2820010db800", "")), "map-e 2001:db8::/40 192.0.2.0/24 16 6 - 2001:db8:ffff::1", "rule (89): 255 EA bits"},
		{"the only rule is wrong", option(94, relay+rule("001021c0000200"+"2820010db800", "")), "", "*"},
		{"an IPv6 prefix of 129 bits", option(94, relay+ruleA+rule("001018c0000200"+"81"+strings.Repeat("20", 17), "")), "map-e 2001:db8::/40 192.0.2.0/24 16 6 - 2001:db8:ffff::1", "more than 128"},
		{"bits behind the lengths", option(94, relay+rule("f0"+"1018c00002ff"+"2720010db801", "")), "map-e 2001:db8::/39 192.0.2.0/24 16 6 - 2001:db8:ffff::1", ""},
		{"offset 4, length 0: the PSID is ignored", option(94, relay+rule(c8, "005d00040400ffff")), "map-e 2001:db8::/40 192.0.2.0/24 16 4 - 2001:db8:ffff::1", ""},
		{"an explicit PSID is left-aligned", option(94, relay+rule("000018c0000200"+"2820010db800", "005d000406083400")), "map-e 2001:db8::/40 192.0.2.0/24 0 6 - 2001:db8:ffff::1", ""},
		{"with a whole address it counts", option(94, relay+rule("000020c0000212"+"2820010db800", "005d000406083400")), "map-e 2001:db8::/40 192.0.2.18/32 0 6 52/8 2001:db8:ffff::1", ""},
		{"16 bits", option(94, relay+rule("000020c0000212"+"2820010db800", "005d000400101234")), "map-e 2001:db8::/40 192.0.2.18/32 0 0 4660/16 2001:db8:ffff::1", ""},
		{"the first of two parameters", option(94, relay+rule(c8, "005d000404000000"+"005d000405000000")), "map-e 2001:db8::/40 192.0.2.0/24 16 4 - 2001:db8:ffff::1", ""},
		{"unknown options in a rule", option(94, relay+"ff000000"+rule(c8, "ff00000100"+"005d000405000000")), "map-e 2001:db8::/40 192.0.2.0/24 16 5 - 2001:db8:ffff::1", ""},
		{"parameters of 3 bytes", option(94, relay+ruleA+rule(c8, "005d0003040000")), "map-e 2001:db8::/40 192.0.2.0/24 16 6 - 2001:db8:ffff::1", "port parameters (93): they have 3 bytes"},
		{"offset 16", option(94, relay+ruleA+rule(c8, "005d000410000000")), "map-e 2001:db8::/40 192.0.2.0/24 16 6 - 2001:db8:ffff::1", "offset 16"},
		{"more than 16 bits", option(94, relay+ruleA+rule(c8, "005d0004090800ff")), "map-e 2001:db8::/40 192.0.2.0/24 16 6 - 2001:db8:ffff::1", "offset 9 and a PSID of 8 bits"},
		{"two domains", option(94, ruleA+relay) + option(94, ruleB+relay), "map-e 2001:db8::/40 192.0.2.0/24 16 6 - 2001:db8:ffff::1; map-e 2001:db8:ff00::/40 198.51.100.0/24 16 6 - 2001:db8:ffff::1 mesh", ""},
		{"one domain of two is wrong", option(94, ruleA) + option(94, ruleB+relay), "map-e 2001:db8:ff00::/40 198.51.100.0/24 16 6 - 2001:db8:ffff::1 mesh", "it has no border relay"},

		{"MAP-T", option(95, dmr64+ruleA), "map-t 2001:db8::/40 192.0.2.0/24 16 6 - 2001:db8:ffff::/64", ""},
		{"two DMR", option(95, dmr64+ruleA+dmr64), "", "it has 2 default mapping rules"},
		{"a DMR that is cut off", option(95, ruleA+"005b00034020ff"), "", "default mapping rule (91): an IPv6 prefix of 64 bits is cut off"},
		{"MAP-T without a rule", option(95, dmr64), "", "it has no rule"},

		{"lw4o6: offset 0", option(96, bound+relay), "lw4o6 192.0.2.18 2001:db8:12:3400::/56 {0 0 0} 2001:db8:ffff::1", ""},
		{"two bindings", option(96, bound+relay+bound), "", "it has 2 bindings"},
		{"no binding", option(96, relay), "", "it has 0 bindings"},
		{"a binding of 4 bytes", option(96, relay+"005c0004c0000212"), "", "binding (92): it has 4 bytes"},
		{"no prefix", option(96, relay+"005c0005c000021200"), "lw4o6 192.0.2.18 ::/0 {0 0 0} 2001:db8:ffff::1", ""},

		{"an AFTR", option(64, aftr), "ds-lite a.b", ""},
		{"the first of two AFTRs", option(64, aftr) + option(64, "016300"), "ds-lite a.b", ""},
		{"the first one is wrong", option(64, "000000") + option(64, aftr), "", "it has 3 bytes"},
		{"no end", option(64, "01610162"), "", "the name has no end"},
		{"only the root", option(64, "00000000"), "", "is not the name of a host"},
		{"a control character", option(64, "021b5b00"), "", "is not the name of a host"},
		{"a dot in a label", option(64, "03612e6200"), "", "a dot"},
		{"an address", option(64, "033a3a3100"), "", "is not the name of a host"},
		{"255 bytes", option(64, strings.Repeat("3f"+strings.Repeat("61", 63), 4)+"00"), "", "is not the name of a host"},
	} {
		r := replyOf(t, test.reply)
		if got := texts(r.Mechanisms); got != test.want {
			t.Errorf("%s:\n  %s\nwant\n  %s", test.name, got, test.want)
		}
		switch {
		case test.ignored == "*" && len(r.Ignored) == 2: // the rule, and so the container
		case (test.ignored == "") != (len(r.Ignored) == 0) || len(r.Ignored) > 1 || test.ignored != "" && !strings.Contains(r.Ignored[0], test.ignored):
			t.Errorf("%s: ignored %q, want %q", test.name, r.Ignored, test.ignored)
		}
	}
}

func texts(all []offer.Mechanism) string {
	var out []string
	for _, m := range all {
		var rules []string
		for _, r := range m.Rules {
			psid := "-"
			if r.PSID != nil {
				psid = fmt.Sprint(r.PSID.Value, "/", r.PSID.Len)
			}
			far := r.BR.String()
			if r.DMR.IsValid() {
				far = r.DMR.String()
			}
			rules = append(rules, fmt.Sprint(r.IPv6, " ", r.IPv4, " ", r.EABits, " ", r.PSIDOffset, " ", psid, " ", far))
		}
		text := string(m.Mode) + " " + strings.Join(rules, ", ")
		switch {
		case m.Mode == softwire.DSLite:
			text += m.FarEnd
		case m.Mode == softwire.LW4o6:
			text += fmt.Sprintf("%v %v %v %s", m.Binding.IPv4, m.Binding.Prefix, m.Binding.Ports, m.FarEnd)
		}
		if m.Mesh {
			text += " mesh"
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

// TestOrder is RFC 8026: the server's list goes first, whatever the order of the options, and what it does not have follows.
func TestOrder(t *testing.T) {
	t.Parallel()
	all := option(64, aftr) + option(96, bound+relay) + option(95, dmr64+ruleA) + option(94, ruleA+relay)
	for _, test := range []struct{ priority, reply, want string }{
		{"", all, "map-e lw4o6 map-t ds-lite"},
		{"0040005e", all, "ds-lite map-e lw4o6 map-t"},
		{"005e005f0060", all, "map-e map-t lw4o6 ds-lite"},
		{"0058ffff005f", all, "map-t map-e lw4o6 ds-lite"}, // 88 is DHCPv4 over DHCPv6, which comes with no container
		{"00600060", all, "lw4o6 map-e map-t ds-lite"},
		{"005f00", all, "map-t map-e lw4o6 ds-lite"},
		{"005e0040", option(94, ruleA) + option(64, aftr), "ds-lite"}, // the container has no border relay
		{"005e", option(64, aftr), "ds-lite"},
		{"", "", ""},
	} {
		reply := test.reply
		if test.priority != "" {
			reply += option(111, test.priority)
		}
		var got []string
		for _, m := range replyOf(t, reply).Mechanisms {
			got = append(got, string(m.Mode))
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%q: %s, want %s", test.priority, got, test.want)
		}
	}
	if r := replyOf(t, option(111, "0040")+option(111, "005e")+all); r.Mechanisms[0].Mode != softwire.DSLite {
		t.Error("the second list counts")
	}
}

func TestLifetime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"":                                    24 * time.Hour,
		option(32, "00000e10"):                time.Hour,
		option(32, "00000001"):                10 * time.Minute,
		option(32, "000001"):                  24 * time.Hour,
		option(32, "ffffffff"):                0xffffffff * time.Second,
		option(64, aftr) + "0020000400000e11": 3601 * time.Second,
	} {
		if got := replyOf(t, text).TTL(); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	for _, damaged := range []string{"xy", "0", "0040", "00400005aa"} {
		if err := new(s46.Reply).UnmarshalText([]byte(damaged)); err == nil {
			t.Errorf("%q is read", damaged)
		}
	}
}

func FuzzReply(f *testing.F) {
	var all []byte
	for _, v := range vectors(f) {
		b, err := hex.DecodeString(option(v.Option, v.Hex))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		all = append(all, b...)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := s46.ParseReply(b)
		if err != nil {
			return
		}
		text, err := r.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if back := replyOf(t, string(text)); !reflect.DeepEqual(back, r) {
			t.Errorf("%s is %+v, and read again %+v", text, r, back)
		}
		if r.TTL() < 10*time.Minute {
			t.Errorf("it is valid for %v", r.TTL())
		}
		for _, m := range r.Mechanisms {
			mapped := m.Mode == softwire.MAPE || m.Mode == softwire.MAPT
			if mapped != (len(m.Rules) > 0) || mapped && softwire.CheckRules(m.Rules) != nil {
				t.Errorf("%+v", m)
			}
			if m.Mode == softwire.DSLite && offer.CheckName(m.FarEnd) != nil {
				t.Errorf("the AFTR is %q", m.FarEnd)
			}
			for _, r := range m.Rules {
				if r.DMR.IsValid() != (m.Mode == softwire.MAPT) {
					t.Errorf("%+v", r)
				}
			}
		}
	})
}
