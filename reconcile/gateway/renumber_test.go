package gateway_test

import (
	"math"
	"net/netip"
	"slices"
	"testing"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/resource"
)

// TestRenumbers: networkd is not told of another line, and is of all else.
func TestRenumbers(t *testing.T) {
	facts := func(address string, netplan bool) facts.Facts {
		f := gatewaytest.OnLineFacts(address)
		f.Netplan, f.Networkd = netplan, true
		for i := range f.Links {
			f.Links[i].NetworkFile = "/etc/systemd/network/" + f.Links[i].Name + ".network"
		}
		return f
	}
	const mine = "{wan: eth1, lan: eth0}"
	for _, netplan := range []bool{true, false} {
		f, other := facts(gatewaytest.LineAddress, netplan), facts(gatewaytest.OtherAddress, netplan)
		made := gatewaytest.MustResolve(t, mine, f)
		for _, test := range []struct {
			name string
			want *gateway.Gateway
			only bool
		}{
			{"another prefix", gatewaytest.MustResolve(t, mine, other), true},
			{"the same", made, true},
			{"another MTU", gatewaytest.MustResolve(t, "{wan: eth1, lan: eth0, mtu: 1400}", other), false},
			{"another tunnel", gatewaytest.MustResolve(t, "{wan: eth1, lan: eth0, tunnel: mape1}", other), false},
			{"none", nil, false},
		} {
			if got := test.want.RenumberedFrom(made, other); got != test.only {
				t.Errorf("netplan %v, %s: %v", netplan, test.name, got)
			}
		}
		if made.RenumberedFrom(nil, f) {
			t.Errorf("netplan %v: the first is taken for a renumbering", netplan)
		}
		for _, r := range (gateway.Transition{NoReload: true}).Compile(made, f) {
			_, managed := r.(resource.Managed)
			if g, ok := r.(resource.Generated); managed || ok && !g.NoReload {
				t.Errorf("netplan %v: networkd is told of %s", netplan, r.Name())
			}
		}
	}
}

// TestFormer: the address that networkd was told of last is kept away until it is wanted again.
func TestFormer(t *testing.T) {
	f := gatewaytest.OnLineFacts(gatewaytest.LineAddress)
	g := gatewaytest.MustResolve(t, "{wan: eth1, lan: eth0}", f)
	at := func(s string) resource.Address {
		return resource.Address{Link: "eth1", Prefix: netip.MustParsePrefix(s + "/128"), Present: true}
	}
	for _, test := range []struct {
		told resource.Address
		want bool
	}{{resource.Address{}, false}, {g.CEAddress(), false}, {at(gatewaytest.CeOfOther), true}} {
		all := (gateway.Transition{NoReload: true, Stale: test.told}).Compile(g, f)
		if got := slices.Contains(all, engine.Resource(resource.Former{Address: test.told})); got != test.want {
			t.Errorf("told %v: kept away: %v", test.told.Prefix, got)
		}
		if got := slices.Contains(gateway.Lasting(all), engine.Resource(resource.Former{Address: test.told})); got != test.want {
			t.Errorf("told %v: lasting: %v", test.told.Prefix, got)
		}
	}
}

// TestFormerAddress is taken away in the form that it had, and left in any other.
func TestFormerAddress(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	b := resource.Former{Address: resource.Address{Link: "eth1", Prefix: netip.MustParsePrefix(gatewaytest.CeOfLine + "/128"), Present: true}}
	for _, test := range []struct {
		preferred uint32
		gone      bool
	}{{0, true}, {math.MaxUint32, false}} {
		there := b.Address
		there.Preferred = test.preferred
		g.Converge(t, []engine.Resource{there})
		if changes := g.Converge(t, []engine.Resource{b}); len(changes) > 0 != test.gone {
			t.Errorf("preferred for %d s: changed %q", test.preferred, hosttest.Names(changes))
		}
		g.Do(func() {
			live, err := b.Address.Read(t.Context(), g.H)
			if err != nil {
				t.Fatal(err)
			}
			if live.(resource.Address).Present == test.gone {
				t.Errorf("preferred for %d s: there is %q", test.preferred, live.Text())
			}
		})
	}
}
