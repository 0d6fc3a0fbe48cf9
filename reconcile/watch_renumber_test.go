package reconcile

import (
	"math"
	"net/netip"
	"testing"
)

// TestRenumbers: networkd is not told of another line, and is of all else.
func TestRenumbers(t *testing.T) {
	compile := func(section, address string, netplan bool) []Resource {
		f := onLineFacts(address)
		f.Netplan, f.Networkd = netplan, true
		for i := range f.Links {
			f.Links[i].NetworkFile = "/etc/systemd/network/" + f.Links[i].Name + ".network"
		}
		return Compile(mustResolve(t, section, f), f)
	}
	const mine = "{wan: eth1, lan: eth0}"
	for _, netplan := range []bool{true, false} {
		made := compile(mine, lineAddress, netplan)
		for _, test := range []struct {
			name string
			want []Resource
			only bool
		}{
			{"another prefix", compile(mine, otherAddress, netplan), true},
			{"the same", made, true},
			{"another MTU", compile("{wan: eth1, lan: eth0, mtu: 1400}", otherAddress, netplan), false},
			{"another tunnel", compile("{wan: eth1, lan: eth0, tunnel: mape1}", otherAddress, netplan), false},
			{"none", Compile(nil, onLineFacts(lineAddress)), false},
		} {
			if got := renumbers(made, test.want); got != test.only {
				t.Errorf("netplan %v, %s: %v", netplan, test.name, got)
			}
		}
		if renumbers(nil, made) {
			t.Errorf("netplan %v: the first is taken for a renumbering", netplan)
		}
		for _, r := range untold(made) {
			_, managed := r.(Managed)
			if g, ok := r.(Generated); managed || ok && !g.Told {
				t.Errorf("netplan %v: networkd is told of %s", netplan, r.Name())
			}
		}
	}
}

// TestBygone: what networkd remembers is the address it was told of last, however often the line changes, until that is
// wanted again.
func TestBygone(t *testing.T) {
	ce := func(s string) Address {
		return Address{Link: "eth1", Prefix: netip.MustParsePrefix(s + "/128"), Present: true}
	}
	line := func(s string) []Resource {
		return []Resource{Address{Link: "eth1", Prefix: netip.MustParsePrefix("2001:db8::5/64"), Present: true, Foreign: true}, ce(s), Sysctl{"net/ipv4/ip_forward", "1"}}
	}
	made := line(ceOfLine)
	for _, step := range []struct{ to, bygone string }{
		{ceOfLine, ""}, {ceOfOther, ceOfLine}, {ceOfOther, ceOfLine}, {ceB, ceOfLine}, {ceOfLine, ""}, {ceB, ceOfLine},
	} {
		bygones := bygoneOf(made, line(step.to))
		if step.bygone == "" && len(bygones) > 0 || step.bygone != "" && (len(bygones) != 1 || bygones[0] != Resource(bygone{ce(step.bygone)})) {
			t.Errorf("after %s: %v, want %q", step.to, bygones, step.bygone)
		}
		made = append(line(step.to), bygones...)
	}
}

// TestBygoneAddress is taken away in the form that it had, and left in any other.
func TestBygoneAddress(t *testing.T) {
	g := newGateway(t)
	b := bygone{Address{Link: "eth1", Prefix: netip.MustParsePrefix(ceOfLine + "/128"), Present: true}}
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
