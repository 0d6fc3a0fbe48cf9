package gateway_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/resource"
)

// TestUntranslatedLAN: which of the LAN's networks leave, and what is said of a LAN of which none does, or too many.
func TestUntranslatedLAN(t *testing.T) {
	t.Parallel()
	const lite, routed = `ds-lite: {aftr: "2001:db8:ffff::1"}`, `ipip: {ipv4: 203.0.113.8/29, br: "2001:db8:ffff::1", block: route}`
	var many []string
	for n := range 60 {
		many = append(many, fmt.Sprintf("10.0.%d.1/24", n))
	}
	for _, test := range []struct {
		section, leaves, says string
		lan                   []string
	}{
		{lite, "192.0.0.2/32 192.168.1.0/24 203.0.113.8/29", "", []string{"192.168.1.5/24", "203.0.113.9/29", "192.168.1.6/32"}},
		{lite, "192.0.0.2/32", "no LAN interface has an IPv4 address that may leave by mape0 (192.0.0.0/29)", nil},
		{lite, "", "the LAN has 61 networks, of 48 at most", many},
		{routed, "203.0.113.8/29", "", []string{"192.168.1.5/24", "203.0.113.9/29"}},
		{routed, "203.0.113.8/29", "no LAN interface has an IPv4 address that may leave by mape0 (203.0.113.8/29)", []string{"192.168.1.5/24"}},
	} {
		f := gatewaytest.OnLineFacts("2400:db8:12:3400::1/64")
		i := slices.IndexFunc(f.Links, func(l kernel.Link) bool { return l.Name == "eth0" })
		f.Links[i].Addresses = nil
		for _, a := range test.lan {
			f.Links[i].Addresses = append(f.Links[i].Addresses, kernel.Inet{Prefix: netip.MustParsePrefix(a)})
		}
		aim := gateway.Resolve(gatewaytest.SectionOf(t, "{lan: eth0, wan: eth1, "+test.section+"}"), f)
		said, leaves := fmt.Sprint(aim.Err), ""
		if aim.Gateway != nil {
			said, leaves = strings.Join(aim.Gateway.Warnings, "\n"), strings.Trim(fmt.Sprint(aim.Gateway.Untranslated), "[]")
		}
		if leaves != test.leaves || test.says == "" && strings.Contains(said, "LAN") || !strings.Contains(said, test.says) {
			t.Errorf("%s with %v: %q leaves, says %q", test.section, test.lan, leaves, said)
		}
	}
}

// TestGuardOfModes: in each mode the table of a gateway guards its tunnel, and so does what is loaded before the network:
// the same where the section has all of it, and without the LAN where that is not known yet.
func TestGuardOfModes(t *testing.T) {
	t.Parallel()
	for section, same := range map[string]bool{
		`ds-lite: {aftr: "2001:db8:ffff::1"}`:                                                                               false,
		`ipip: {ipv4: 203.0.113.8/29, br: "2001:db8:ffff::1"}`:                                                              true,
		`ipip: {ipv4: 203.0.113.8/29, br: "2001:db8:ffff::1", block: route, interface-id: "::feed"}`:                        true,
		`lw4o6: {lwaftr: "2001:db8:ffff::1", ipv4: 192.0.2.18, psid: 0, psid-len: 4}`:                                       true,
		`dmr: "2001:db8:ffff::/64", rules: [{ipv6: "2400:db8::/40", ipv4: 192.0.2.0/24, ea-bits: 16}]`:                      true,
		`rules: [{ipv6: "2400:db8::/40", ipv4: 192.0.2.0/24, ea-bits: 16, br: "2001:db8:ffff::1"}], br: "2001:db8:ffff::2"`: true,
	} {
		f := gatewaytest.OnLineFacts("2400:db8:12:3400::1/64")
		c := gatewaytest.SectionOf(t, "{lan: eth0, wan: eth1, "+section+"}")
		aim := gateway.Resolve(c, f)
		if aim.Err != nil {
			t.Errorf("%s: %v", section, aim.Err)
			continue
		}
		table := nat.Table(aim.Gateway.NATConfig(), aim.Gateway.Pool)
		guard := gateway.GuardOf(c, facts.Facts{Owned: facts.Owned{Memory: &facts.Memory{CE: aim.Gateway.Softwire.CE(), MTU: aim.Gateway.Tunnel.MTU}, Tunnels: []string{"mape0"}}})
		if guard.Why != nil || !guard.Holds(resource.Table{Table: table}) || !guard.Holds(guard.Table) {
			t.Errorf("%s: %v, holds %v and %v", section, guard.Why, guard.Holds(resource.Table{Table: table}), guard.Holds(guard.Table))
		}
		if got := guard.Table.Table.Text() == table.Text(); got != same {
			t.Errorf("%s: the guard is the table: %v", section, got)
		}
	}
}
