package reconcile

import (
	"math"
	"net/netip"
	"slices"
	"testing"
)

// TestRenumbers: networkd is not told of another line, and is of all else.
func TestRenumbers(t *testing.T) {
	facts := func(address string, netplan bool) Facts {
		f := onLineFacts(address)
		f.Netplan, f.Networkd = netplan, true
		for i := range f.Links {
			f.Links[i].NetworkFile = "/etc/systemd/network/" + f.Links[i].Name + ".network"
		}
		return f
	}
	const mine = "{wan: eth1, lan: eth0}"
	for _, netplan := range []bool{true, false} {
		f, other := facts(lineAddress, netplan), facts(otherAddress, netplan)
		made := mustResolve(t, mine, f)
		for _, test := range []struct {
			name string
			want *Gateway
			only bool
		}{
			{"another prefix", mustResolve(t, mine, other), true},
			{"the same", made, true},
			{"another MTU", mustResolve(t, "{wan: eth1, lan: eth0, mtu: 1400}", other), false},
			{"another tunnel", mustResolve(t, "{wan: eth1, lan: eth0, tunnel: mape1}", other), false},
			{"none", nil, false},
		} {
			if got := test.want.Renumbers(made, other); got != test.only {
				t.Errorf("netplan %v, %s: %v", netplan, test.name, got)
			}
		}
		if made.Renumbers(nil, f) {
			t.Errorf("netplan %v: the first is taken for a renumbering", netplan)
		}
		for _, r := range (Order{Quiet: true}).Compile(made, f) {
			_, managed := r.(Managed)
			if g, ok := r.(Generated); managed || ok && !g.Told {
				t.Errorf("netplan %v: networkd is told of %s", netplan, r.Name())
			}
		}
	}
}

// TestFormer: the address that networkd was told of last is kept away until it is wanted again.
func TestFormer(t *testing.T) {
	f := onLineFacts(lineAddress)
	g := mustResolve(t, "{wan: eth1, lan: eth0}", f)
	at := func(s string) Address {
		return Address{Link: "eth1", Prefix: netip.MustParsePrefix(s + "/128"), Present: true}
	}
	for _, test := range []struct {
		told Address
		want bool
	}{{Address{}, false}, {g.CEAddress(), false}, {at(ceOfOther), true}} {
		all := (Order{Quiet: true, Told: test.told}).Compile(g, f)
		if got := slices.Contains(all, Resource(Former{test.told})); got != test.want {
			t.Errorf("told %v: kept away: %v", test.told.Prefix, got)
		}
		if got := slices.Contains(lasting(all), Resource(Former{test.told})); got != test.want {
			t.Errorf("told %v: lasting: %v", test.told.Prefix, got)
		}
	}
}

// TestFormerAddress is taken away in the form that it had, and left in any other.
func TestFormerAddress(t *testing.T) {
	g := newGateway(t)
	b := Former{Address{Link: "eth1", Prefix: netip.MustParsePrefix(ceOfLine + "/128"), Present: true}}
	for _, test := range []struct {
		preferred uint32
		gone      bool
	}{{0, true}, {math.MaxUint32, false}} {
		there := b.Address
		there.Preferred = test.preferred
		g.converge(t, []Resource{there})
		if changes := g.converge(t, []Resource{b}); len(changes) > 0 != test.gone {
			t.Errorf("preferred for %d s: changed %q", test.preferred, names(changes))
		}
		g.do(func() {
			live, err := b.Address.Read(t.Context(), g.h)
			if err != nil {
				t.Fatal(err)
			}
			if live.(Address).Present == test.gone {
				t.Errorf("preferred for %d s: there is %q", test.preferred, live.Text())
			}
		})
	}
}
