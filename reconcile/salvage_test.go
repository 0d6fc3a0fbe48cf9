package reconcile

import (
	"errors"
	"slices"
	"testing"

	"mape-netplan/schema"
)

// TestCheckSalvaged looks at all of a bad section that is sound, and at nothing that may only follow from what is wrong.
func TestCheckSalvaged(t *testing.T) {
	const line = `prefix: "2400:4050:5c71:af00::/56", forwards: [{port: 443, to: 192.168.1.10}]`
	for section, want := range map[string][]string{
		// The softwire is sound.
		`{mtu: x, ` + line + `}`:           {"mape.forwards[0].port"},
		`{mtuu: 1400, ` + line + `}`:       {"mape.forwards[0].port"},
		`{wan: 1, lan: [2], ` + line + `}`: {"mape.forwards[0].port"},
		`{prefix: "2400:4050:5c71:af00::/56", forwards: [{port: 0, to: 192.168.1.10}]}`:                                                    nil,
		`{prefix: "2400:4050:5c71:af00::/56", forwards: [{port: 443, to: x}, {port: 444}]}`:                                                nil,
		`{prefix: "2001:db8::/56", mtu: x}`:                                                                                                {"mape.prefix"},
		`{provider: discover, mtu: x, ` + line + `}`:                                                                                       nil,
		`{rules: [{ipv6: "2001:db8::/40", ipv4: 192.0.2.0/24, ea-bits: 30}], br: x}`:                                                       nil,
		`{rules: [{ipv6: "2001:db8::/40", ipv4: 192.0.2.0/24, ea-bits: 30, br: 9::}], mtu: x}`:                                             {"mape.rules[0]"},
		`{rules: [{ipv6: "2001:db8::/40", ipv4: 192.0.2.0/24, ea-bits: 30}, {ipv6: x, ipv4: 1.2.3.0/24, ea-bits: 30}], br: "2001:db8::9"}`: {"mape.rules[0]"},
		// It is not, or may not be.
		`{providr: v6plus, ` + line + `}`:          nil,
		`{provider: v6pluss, ` + line + `}`:        nil,
		`{isp: ocn, ` + line + `}`:                 nil,
		`{frobnicate: 1, ` + line + `}`:            nil,
		`{interface-id: x, ` + line + `}`:          nil,
		`{provider: ocn, rules: [], ` + line + `}`: nil,
		// Of a softwire every value by itself.
		`{softwire: {ce: x, br: y, ipv4: 192.0.2.1, psid: 300, psid-len: 8, psid-offset: 99}}`:                         {"mape.softwire"},
		`{softwire: {ipv4: 192.0.2.1, psid: 300, psid-len: 8}}`:                                                        {"mape.softwire"},
		`{softwire: {ce: "fe80::1", br: "fe80::2", ipv4: 192.0.2.0/24, psid: 3, psid-len: 8}}`:                         {"mape.softwire"},
		`{softwire: {ce: "2001:db8::1", br: "2001:db8::1", ipv4: x, psid: 300}}`:                                       {"mape.softwire"},
		`{softwire: {ce: "2001:db8::1", br: "2001:db8::2", ipv4: 192.0.2.1, psid: 300, psid-len: 99, psid-offset: 4}}`: nil,
		`{softwire: {cee: "2001:db8::1", br: "2001:db8::2", ipv4: 192.0.2.1}, ` + line + `}`:                           nil,
		`{provider: ocn, softwire: {ce: "fe80::1", br: x, ipv4: 192.0.2.1}}`:                                           nil,
	} {
		c, problems := schema.Salvage("gw.yaml", []byte("mape: "+section+"\n"))
		if problems == nil {
			t.Errorf("%s is good", section)
			continue
		}
		var more schema.Problems
		if err := Check(c); err != nil && !errors.As(err, &more) {
			t.Errorf("%s: %v", section, err)
		}
		var got []string
		for _, p := range more {
			got = append(got, p.Path)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%v\ngot  %q\nwant %q", section, more, got, want)
		}
	}
}
