package facts

import (
	"net/netip"

	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/netplan"
)

// ExampleFacts is a gateway as the README sets it up on Proxmox, before the
// first run: eth0 is the LAN, eth1 the WAN, both from cloud-init by netplan.
func ExampleFacts() Facts {
	lan, wan := netip.MustParsePrefix("192.168.1.5/24"), netip.MustParsePrefix("fe80::be24:11ff:fe00:2/64")
	return Facts{
		Live: true, Netplan: true, Networkd: true, IPForward: "0",
		Links: []kernel.Link{
			{Name: "eth0", Index: 2, Kind: "device", MTU: 1500, Addresses: []kernel.Inet{{Prefix: lan}}, NetworkFile: "/run/systemd/network/10-netplan-eth0.network"},
			{Name: "eth1", Index: 3, Kind: "device", MTU: 1500, Addresses: []kernel.Inet{{Prefix: wan}}, Default6: new(int), NetworkFile: "/run/systemd/network/10-netplan-eth1.network"},
		},
		Definitions: []netplan.Definition{
			{Section: "ethernets", ID: "eth0", Interfaces: []string{"eth0"}, Addresses: []netip.Prefix{lan}},
			{Section: "ethernets", ID: "eth1", Interfaces: []string{"eth1"}},
		},
	}
}
