package facts_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/softwire"
)

// odd are values that a machine does not have.
var odd = []string{
	`null`, `""`, `"x"`, `"\u001b[31m"`, `-1`, `0`, `1e9`, `9007199254740993`, `true`, `[]`, `[null]`, `{}`, `[{}]`, `"::/0"`, `"::"`, `"0.0.0.0/0"`,
	`"0.0.0.0"`, `"255.255.255.255/32"`, `"fe80::1%eth0"`, `"2400:4050:5c71:af00::/56"`, `"::ffff:192.0.2.1/128"`, `"../../etc/shadow"`, `"eth1"`, `"mape0"`,
	`"0001-01-01T00:00:00Z"`, `{"asked":"2026-01-01T00:00:00Z"}`, `"192.168.1.10:0"`,
}

// mutate changes one value somewhere in v, or removes it.
func mutate(r *rand.Rand, v any) any {
	switch at := v.(type) {
	case map[string]any:
		for key := range at { // Any.
			if r.IntN(3) == 0 || len(at) == 1 {
				if at[key] = mutate(r, at[key]); r.IntN(8) == 0 {
					delete(at, key)
				}
				return at
			}
		}
	case []any:
		if len(at) > 0 && r.IntN(6) > 0 {
			i := r.IntN(len(at))
			at[i] = mutate(r, at[i])
			if r.IntN(6) == 0 {
				at = append(at, at[i])
			}
			return at
		}
	}
	var to any
	if err := json.Unmarshal([]byte(odd[r.IntN(len(odd))]), &to); err != nil {
		panic(err)
	}
	return to
}

// TestHostileFacts: whatever a file of facts has, it is refused or planned for, and no text of the plan has a value that
// was not read.
func TestHostileFacts(t *testing.T) {
	t.Parallel()
	sections := []string{
		"{}", "{wan: eth1, lan: eth0}", "{provider: discover}", "{provider: discover, wan: eth1, prefix: '2400:4050:5c71:af00::/56'}",
		"{wan: eth1, lan: eth0, prefix: '2400:4050:5c71:af00::/56', forwards: [{port: 1776, to: 192.168.1.10}]}",
	}
	parsed := 0
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 2))
		f := gatewaytest.RandomFacts(r)
		f.Links[1].Addresses = append(f.Links[1].Addresses, gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1))
		f.Delegations = []networkd.Delegation{gatewaytest.Delegated(gatewaytest.LineA + "::/56")}
		data, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var tree map[string]any
		if err := json.Unmarshal(data, &tree); err != nil {
			t.Fatal(err)
		}
		tree["discovered"] = map[string]any{
			"asked": "2026-01-01T00:00:00Z", "prefixes": []any{gatewaytest.LineA + "::/56"},
			"reply": map[string]any{"enabler_name": "e", "order": []any{"map_e"}, "map_e": map[string]any{"br": "2404:9200:225:100::64", "rules": []any{map[string]any{
				"ipv6": "2400:4050:4000::/35", "ipv4": "153.240.0.0/16", "ea_length": 21, "psid_offset": 6}}}},
		}
		for range 1 + r.IntN(3) {
			tree, _ = mutate(r, tree).(map[string]any)
			if tree == nil {
				tree = map[string]any{}
			}
		}
		if data, err = json.Marshal(tree); err != nil {
			t.Fatal(err)
		}
		if try(t, data, sections[r.IntN(len(sections))]) {
			parsed++
		}
	}
	if parsed < 200 {
		t.Errorf("only %d were planned for", parsed)
	}
}

func try(t *testing.T, data []byte, section string) (parsed bool) {
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s: %v\n%s", section, p, data)
		}
	}()
	f, err := facts.Parse(data)
	if err != nil {
		return false
	}
	c := gatewaytest.SectionOf(t, section)
	if l, err := line.Find(c, f); err == nil {
		checkSoftwire(t, l.Softwire, section, data)
	}
	aim := gateway.Resolve(c, f)
	if aim.Gateway == nil {
		return false
	}
	var b strings.Builder
	for _, r := range gateway.Compile(aim.Gateway, f) {
		fmt.Fprintf(&b, "%s\n%s", r.Name(), r.Text())
	}
	fmt.Fprintf(&b, "%q", aim.Gateway.Warnings)
	if _, text, found := strings.Cut(b.String(), "invalid "); found {
		t.Errorf("%s: invalid %.20s\n%s", section, text, data)
	}
	checkSoftwire(t, aim.Gateway.Softwire, section, data)
	return true
}

func checkSoftwire(t *testing.T, s softwire.Softwire, section string, data []byte) {
	if !s.CE().Is6() || !s.BR().Is6() || !s.Inner.Addr().Is4() || s.Ports.Count() == 0 {
		t.Errorf("%s: %+v\n%s", section, s, data)
	}
}
