package schema

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestLimits gives the parser what is made to break parsers. Each is one
// problem or none, at once.
func TestLimits(t *testing.T) {
	const mib = 1 << 20
	chain := "a0: &a0 {mtu: 1460}\n"
	for i := range 30 {
		chain += fmt.Sprintf("a%d: &a%d {<<: [%s]}\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 30))
	}
	tests := map[string]struct{ text, want string }{
		"ten megabytes":       {strings.Repeat("#\n", 5*mib), "must have at most 1048576 bytes, not 10485760"},
		"comments":            {strings.Repeat("#\n", mib/2), "there is no \"mape:\" section"},
		"tabs":                {strings.Repeat("\t", mib), ""},
		"bracket after other": {strings.Repeat("[", mib), "exceeded max depth"},
		"braces":              {"mape: " + strings.Repeat("{a: ", mib/8), "exceeded max depth"},
		"dashes":              {"mape:\n" + strings.Repeat("- ", mib/4), "exceeded max depth"},
		"questions":           {strings.Repeat("? ", mib/4), "exceeded max depth"},
		"almost too deep":     {"mape: " + strings.Repeat("[", 9990) + strings.Repeat("]", 9990), ", not a list"},
		"merges of merges":    {chain + "mape:\n  <<: *a30\n", ""},
		"merge of itself":     {"mape: &m\n  wan: eth1\n  <<: *m\n", ""},
		"alias of itself":     {"mape:\n  rules: &r [*r]\n", ", not a list"},
		"long key":            {"mape:\n  ? " + strings.Repeat("k", mib/2) + "\n  : 1\n", "unknown key"},
		"long value":          {"mape:\n  wan: " + strings.Repeat("v", mib/2) + "\n", "524288 bytes; at most 15"},
		"long line":           {"mape: {" + strings.Repeat("wan: eth1, ", mib/16) + "}\n", "only the first hundred"},
		"many keys":           {"mape:\n" + strings.Repeat("  nonsense: 1\n", mib/16), "only the first hundred"},
		"many ports":          {"mape:\n  forwards: [{to: 10.0.0.1, port: [" + strings.Repeat("1,", mib/4) + "]}]\n", "must have at most 1024 entries, not 262144"},
		"many forwards":       {"mape:\n  forwards: [" + strings.Repeat("{to: 10.0.0.1, port: 1-65535},", mib/32) + "]\n", "only the first hundred"},
		"forwards of forwards": {"mape:\n  forwards:\n  - {to: 10.0.0.1, port: &p [" + strings.Repeat("1,", maxRanges) + "]}\n" +
			strings.Repeat("  - &f {to: 10.0.0.1, port: *p}\n", mib/64) + "  - *f\n", "only the first hundred"},
		"forwards of itself": {"mape:\n  forwards: &f [*f, {to: 10.0.0.1, port: &p [*p]}]\n", "forwards[1].port[0]: must be a port or a range such as 5184-5187, not a list"},
		"long port":          {"mape:\n  forwards: [{to: 10.0.0.1, port: \"" + strings.Repeat("1,", mib/4) + "1\"}]\n", "must be a port, a range, or a list"},
		"long time":          {"mape:\n  conntrack: {udp: " + strings.Repeat("1m", mib/4) + "}\n", "must be a time from 2m"},
		"open quote":         {"mape: \"" + strings.Repeat("x\n", mib/4), "found unexpected end of stream"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("gw.yaml", []byte(test.text))
			got := fmt.Sprint(err)
			if !strings.Contains(got, test.want) || test.want == "" && name[0] == 'm' && err != nil {
				t.Errorf("got %.300s, want %q", got, test.want)
			}
			if len(got) > 1<<17 {
				t.Errorf("%d bytes of problems", len(got))
			}
		})
	}
}

// TestConfigProblem reports at keys, around keys that are not there, and
// without a file.
func TestConfigProblem(t *testing.T) {
	c, err := Parse("gw.yaml", []byte("mape:\n  lan: eth0\n  br: 2001:db8:ffff::1\n  rules:\n    - ipv6: 2001:db8::/40\n      ipv4: 192.0.2.0/24\n      ea-bits: 16\n"+
		"  forwards:\n    - port: 5184\n      to: 192.168.1.10\n    - {to: 192.168.1.11, port: [5185, 5186-5187]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"lan":                  "gw.yaml:2:8: mape.lan: not so\n   2 |   lan: eth0\n     |        ^",
		"lan[0]":               "gw.yaml:2:8: mape.lan: not so\n   2 |   lan: eth0\n     |        ^",
		"rules":                "gw.yaml:4:3: mape.rules: not so\n   4 |   rules:\n     |   ^",
		"rules[0].ipv4":        "gw.yaml:6:13: mape.rules[0].ipv4: not so\n   6 |       ipv4: 192.0.2.0/24\n     |             ^",
		"rules[0].psid":        "gw.yaml:5:7: mape.rules[0].psid: not so\n   5 |     - ipv6: 2001:db8::/40\n     |       ^",
		"forwards[0].port":     "gw.yaml:9:13: mape.forwards[0].port: not so\n   9 |     - port: 5184\n     |             ^",
		"forwards[0].to":       "gw.yaml:10:11: mape.forwards[0].to: not so\n  10 |       to: 192.168.1.10\n     |           ^",
		"forwards[0].protocol": "gw.yaml:9:7: mape.forwards[0].protocol: not so\n   9 |     - port: 5184\n     |       ^",
		"forwards[0].port[0]":  "gw.yaml:9:13: mape.forwards[0].port: not so\n   9 |     - port: 5184\n     |             ^",
		"forwards[1].port[1]":  "gw.yaml:11:39: mape.forwards[1].port[1]: not so\n  11 |     - {to: 192.168.1.11, port: [5185, 5186-5187]}\n     |                                       ^",
		"conntrack.udp":        "gw.yaml:1:1: mape.conntrack.udp: not so\n   1 | mape:\n     | ^",
		"wan":                  "gw.yaml:1:1: mape.wan: not so\n   1 | mape:\n     | ^",
		"":                     "gw.yaml:1:1: mape: not so\n   1 | mape:\n     | ^",
	} {
		if got := c.Problem(path, "not %s", "so").Error(); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
		}
	}
	if got := new(Config).Problem("wan", "not so").Error(); got != "mape.wan: not so" {
		t.Errorf("without a file: %s", got)
	}
}

func TestProblemJSON(t *testing.T) {
	_, err := Parse("gw.yaml", []byte("mape: {mtu: 1}"))
	got, _ := json.Marshal(err)
	const want = `[{"file":"gw.yaml","line":1,"col":13,"path":"mape.mtu","message":"must be a whole number from 1240 to 9000 such as 1460, not 1","source":"mape: {mtu: 1}","warning":false}]`
	if string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
