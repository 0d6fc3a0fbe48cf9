package networkd_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/networkd"
)

// A describing stands for networkd: it says of each link what is given.
type describing map[int]string

func (describing) Reload(context.Context) error { return nil }

func (d describing) Describe(_ context.Context, index int) ([]byte, error) {
	if d[index] == "" {
		return nil, errors.New("no such method")
	}
	return []byte(d[index]), nil
}

// What systemd 257 says of a link with a lease, and what 252 and 257 say of one with a part of it, cut to the point.
const (
	leaseJSON = `{"Index":3,"Name":"eth1","Addresses":[{"Family":10,"Address":[254,128,0,0,0,0,0,0,190,36,17,255,254,0,0,2],"PrefixLength":64,"ConfigSource":"foreign"}],
		"DHCPv6Client":{"Lease":{"Timeout1USec":1035479303},"Prefixes":[{"Prefix":[36,0,64,80,92,113,176,0,0,0,0,0,0,0,0,0],"PrefixLength":56,"ValidLifetimeUSec":1957479303},
		{"Prefix":[36,0],"PrefixLength":56},{"Prefix":[36,0,64,80,92,113,176,0,0,0,0,0,0,0,0,0],"PrefixLength":560}],"DUID":[0,3,0,1,188,36,17,0,0,2]}}`
	assignedJSON = `{"Index":2,"Name":"eth0","Addresses":[{"Family":10,"Address":[36,0,64,80,92,113,176,1,0,0,0,0,0,0,0,5],"PrefixLength":64,"ConfigSource":"DHCP-PD"},
		{"Family":10,"Address":[36,0,64,80,92,113,176,2,0,0,0,0,0,0,0,5],"PrefixLength":64,"ConfigSource":"static"}]}`
)

// TestDelegations finds delegated prefixes wherever they show.
func TestDelegations(t *testing.T) {
	whole, part := netip.MustParsePrefix(gatewaytest.LineB+"::/56"), netip.MustParsePrefix("2400:4050:5c71:b001::/64")
	for _, test := range []struct {
		name    string
		kept    []netip.Prefix
		clients []string // links on which a DHCPv6 client runs
		bus     describing
		want    []networkd.Delegation
	}{
		{name: "nothing"},
		{name: "a client without a lease", clients: []string{"eth1"}, bus: describing{3: `{"Name":"eth1"}`}},
		{name: "a route", kept: []netip.Prefix{whole}, want: []networkd.Delegation{{Prefix: whole, Source: "route"}}},
		{name: "a route and a client", kept: []netip.Prefix{whole}, clients: []string{"eth1"}, want: []networkd.Delegation{{Prefix: whole, Link: "eth1", Source: "route"}}},
		{name: "a route and two clients", kept: []netip.Prefix{whole}, clients: []string{"eth0", "eth1"}, want: []networkd.Delegation{{Prefix: whole, Source: "route"}}},
		{name: "a lease without a route", clients: []string{"eth1"}, bus: describing{3: leaseJSON}, want: []networkd.Delegation{{Prefix: whole, Link: "eth1", Source: "lease"}}},
		{name: "no method", clients: []string{"eth1"}, bus: describing{}},
		{name: "not JSON", clients: []string{"eth1"}, bus: describing{3: "["}},
		{name: "a part on another link", clients: []string{"eth1"}, bus: describing{2: assignedJSON}, want: []networkd.Delegation{{Prefix: part, Link: "eth1", Source: "assigned"}}},
		{name: "a part on another link, and two clients", clients: []string{"eth0", "eth1"}, bus: describing{2: assignedJSON}, want: []networkd.Delegation{{Prefix: part, Source: "assigned"}}},
		{name: "a part on another link, but no client", bus: describing{2: assignedJSON}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, dir := hosttest.HostOf(t, "")
			h.Bus = describing{}
			if test.bus != nil {
				h.Bus = test.bus
			}
			links := gatewaytest.Lines(gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1)).Links
			links[0].Addresses = append(links[0].Addresses, gatewaytest.Advertised("2400:4050:5c71:b001::5/64", 1))
			for _, l := range links {
				text := "NETWORK_FILE=" + l.NetworkFile + "\n"
				for _, client := range test.clients {
					if client == l.Name {
						text += "DHCP6_CLIENT_IAID=0x405663a2\n"
					}
				}
				hosttest.WriteFile(t, filepath.Join(dir, "run/systemd/netif/links", fmt.Sprint(l.Index)), text)
			}
			if got := networkd.Delegations(h, links, test.kept); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			// An address of the LAN out of the delegation is known to be that; the WAN's own is not taken for one.
			origin := kernel.OriginRA
			if len(test.want) > 0 {
				origin = kernel.OriginPD
			}
			if lan, wan := links[0].Addresses[1], links[1].Addresses[1]; lan.Origin != origin || wan.Origin != kernel.OriginRA {
				t.Errorf("%s is %s, want %s; %s is %s", lan.Prefix, lan.Origin, origin, wan.Prefix, wan.Origin)
			}
		})
	}
}

// TestGatherDelegation reads the kernel's route for a delegation, and no other.
func TestGatherDelegation(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	for _, route := range []string{
		"unreachable 2400:4050:5c71:b000::/56 proto dhcp metric 1024",
		"unreachable 2400:4050:5c71:c000::/56 proto static metric 1024",
		"blackhole 2400:4050:5c71:d000::/56 proto dhcp metric 1024",
		"2400:4050:5c71:e000::/56 dev eth1 proto dhcp metric 1024",
		"unreachable default proto dhcp metric 4096",
		"unreachable 2400:4050:5c71:f000::/56 proto dhcp table 100",
	} {
		g.Exec(t, "sh", "-c", "ip -6 route add "+route)
	}
	f := g.Gather(t)
	if want := []networkd.Delegation{{Prefix: netip.MustParsePrefix(gatewaytest.LineB + "::/56"), Source: networkd.SourceRoute}}; !reflect.DeepEqual(f.Delegations, want) {
		t.Errorf("got %v, want %v", f.Delegations, want)
	}
	for _, l := range f.Links {
		if l.Default6 != nil {
			t.Errorf("%s has an IPv6 default route", l.Name)
		}
	}
}

// TestGatherAddresses reads how the machine came to its addresses and what duplicate address detection says of them.
func TestGatherAddresses(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	hosttest.Sysctl(t, g.NS, map[string]string{"ipv6/conf/eth1/accept_dad": "1", "ipv6/conf/eth1/use_tempaddr": "2"})
	for _, address := range []string{
		"2400:4050:5c71:af00::1/64 nodad",
		"2400:4050:5c71:af00::2/64 nodad valid_lft 600 preferred_lft 300",
		"2400:4050:5c71:af00::3/128 nodad valid_lft 600 preferred_lft 300",
		"2400:4050:5c71:af00::4/64 nodad valid_lft 600 preferred_lft 0",
		"2400:4050:5c71:af00:be24:11ff:fe00:2/64 nodad valid_lft 600 preferred_lft 300 mngtmpaddr",
		"2400:4050:5c71:af00::6/64",
		"198.51.100.1/24 valid_lft 600 preferred_lft 300",
	} {
		g.Exec(t, "sh", "-c", "ip address add "+address+" dev eth1")
	}
	at := func() map[string]kernel.Inet {
		all := map[string]kernel.Inet{}
		l, _ := g.Gather(t).Link("eth1")
		for _, a := range l.Addresses {
			all[a.Prefix.String()] = a
		}
		return all
	}
	got := at()
	for prefix, want := range map[string]kernel.Inet{
		gatewaytest.LineA + "::1/64":               {Origin: kernel.OriginStatic},
		gatewaytest.LineA + "::2/64":               {Origin: kernel.OriginRA},
		gatewaytest.LineA + "::3/128":              {Origin: kernel.OriginDHCP6},
		gatewaytest.LineA + "::4/64":               {Origin: kernel.OriginRA, Deprecated: true},
		gatewaytest.LineA + ":be24:11ff:fe00:2/64": {Origin: kernel.OriginRA},
		gatewaytest.LineA + "::6/64":               {Origin: kernel.OriginStatic, Tentative: true},
		"198.51.100.1/24":                          {},
	} {
		a := got[prefix]
		lasts := want.Origin != kernel.OriginRA && want.Origin != kernel.OriginDHCP6
		if (a.Announced == 0) != lasts {
			t.Errorf("%s was announced at %d", prefix, a.Announced)
		}
		a.Prefix, a.Announced = netip.Prefix{}, 0
		if a != want {
			t.Errorf("%s is %+v, want %+v", prefix, a, want)
		}
	}
	temporary := 0
	for prefix, a := range got {
		if a.Temporary {
			temporary++
			t.Log(prefix)
		}
	}
	if temporary != 1 {
		t.Errorf("%d addresses are temporary", temporary)
	}
	// An announcement that comes again counts anew.
	before := got[gatewaytest.LineA+"::2/64"].Announced
	time.Sleep(50 * time.Millisecond)
	g.Exec(t, "ip", "address", "change", gatewaytest.LineA+"::2/64", "dev", "eth1", "valid_lft", "600", "preferred_lft", "300")
	if after := at()[gatewaytest.LineA+"::2/64"].Announced; after < before+4 {
		t.Errorf("the announcement that came again counts as of %d, the first as of %d", after, before)
	}
}

// TestGatherFailed: another host on the line has the address.
func TestGatherFailed(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	hosttest.Sysctl(t, g.NS, map[string]string{"ipv6/conf/eth1/accept_dad": "1"})
	g.Others.Exec(t, "ip", "address", "add", gatewaytest.LineA+"::5/64", "dev", "line", "nodad")
	g.Exec(t, "ip", "address", "add", gatewaytest.LineA+"::5/64", "dev", "eth1")
	for end := time.Now().Add(gatewaytest.Limit); ; time.Sleep(50 * time.Millisecond) {
		l, _ := g.Gather(t).Link("eth1")
		i := slices.IndexFunc(l.Addresses, func(a kernel.Inet) bool { return a.Prefix.String() == gatewaytest.LineA+"::5/64" })
		if i >= 0 && l.Addresses[i].Failed && l.Addresses[i].Tentative {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%+v", l.Addresses)
		}
	}
}
