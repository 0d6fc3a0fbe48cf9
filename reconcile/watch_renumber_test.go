package reconcile

import "testing"

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
