// Package facts gathers everything about a machine that a decision depends on, as plain data.
package facts

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/firewall"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/sysctld"
)

// Facts is all that is made of a section depends on, besides the section: a look
// at a machine. It is plain data and marshals to JSON, so that a plan can be made
// for a machine on another one.
type Facts struct {
	// Live: there is a kernel to configure, not only files.
	Live bool `json:"live"`
	// Links are the kernel's interfaces; of an image those that its netplan and
	// networkd files name.
	Links []kernel.Link `json:"links"`
	// Nowhere4 is the type of the main table's IPv4 default route of metric 0 that
	// leaves by no link: "unreachable", "blackhole", "prohibit" or "throw"; "" if
	// there is no such route.
	Nowhere4 string `json:"nowhere4,omitempty"`
	// Delegations are the prefixes that DHCPv6 has delegated to the machine, the
	// most reliable source first.
	Delegations []networkd.Delegation `json:"delegations,omitempty"`
	// Netplan: netplan is installed. Networkd: systemd-networkd runs.
	Netplan  bool `json:"netplan"`
	Networkd bool `json:"networkd"`
	// Disabled: systemd-networkd neither runs nor starts at boot, on a machine that
	// systemd runs.
	Disabled bool `json:"networkd_disabled,omitempty"`
	// Managers are by interface what else configures it, [Ifupdown] or
	// netplan.NetworkManager; "" is every interface that is not named.
	Managers map[string]string `json:"managers,omitempty"`
	// Renderer is netplan's default for definitions without one, such as that of
	// our tunnel; "" is networkd.
	Renderer string `json:"renderer,omitempty"`
	// Definitions are netplan's, of every file but ours.
	Definitions []netplan.Definition `json:"definitions,omitempty"`
	// Named maps the links that networkd's files of others name to the file.
	Named map[string]string `json:"named,omitempty"`
	// Networks are networkd's .network files of others, in its order.
	Networks []networkd.Network `json:"networks,omitempty"`
	// Sysctls are kernel parameters as files say that are read after ours at boot.
	Sysctls []sysctld.Setting `json:"sysctls,omitempty"`
	// ByNM: a netplan file gives something to NetworkManager.
	ByNM bool `json:"by_nm,omitempty"`
	// Owned is what earlier runs left on the machine.
	Owned Owned `json:"owned"`
	// IPForward is net.ipv4.ip_forward before the first run; "" if unknown.
	IPForward string `json:"ip_forward,omitempty"`
	// Unfiltered is why the tunnel cannot have a filter of its own; "" if it can.
	Unfiltered string `json:"unfiltered,omitempty"`
	// MaxFixed is why the number of tracked connections cannot be set here; "" if it can.
	MaxFixed string `json:"conntrack_max_fixed,omitempty"`
	// Namesake is netplan.Namesake.
	Namesake string `json:"namesake,omitempty"`
	// Foreign is what other programs have in nf_tables; Look leaves it out.
	Foreign firewall.Foreign `json:"foreign,omitzero"`
	// Discovered is the line's last answer to the question for its rules; nil if it
	// was never asked.
	Discovered *discovery.Discovery `json:"discovered,omitempty"`
	// FarEnds are those that the line's resolvers were asked for, by name.
	FarEnds discovery.Names `json:"far_ends,omitempty"`
	// Announced is the CE address that was registered with the provider last; nil if none was.
	Announced *discovery.Announcement `json:"announced,omitempty"`
}

// Link returns the interface of a name, or of an alternative one.
func (f Facts) Link(name string) (kernel.Link, bool) {
	i := slices.IndexFunc(f.Links, func(l kernel.Link) bool { return l.Name == name || slices.Contains(l.AltNames, name) })
	if i < 0 {
		return kernel.Link{}, false
	}
	return f.Links[i], true
}

// Names lists the interfaces that a section can name, for a message; "none" if there are none.
func (f Facts) Names() string {
	var names []string
	for _, l := range f.Links {
		// ip6tnl0 belongs to the module.
		if !l.Loopback && l.Name != "ip6tnl0" {
			names = append(names, l.Name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// InternetAddresses are one in each half of the address space, because some VPNs
// have a route for each half. The kernel is asked how it would send packets to
// them, and none is sent. The second is a root name server's.
var InternetAddresses = []netip.Addr{netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("198.41.0.4")}

// DefinitionOf returns the definition that configures an interface; nil if there is
// none.
func (f Facts) DefinitionOf(link string) (d *netplan.Definition, defined bool) {
	i := slices.IndexFunc(f.Definitions, func(d netplan.Definition) bool { return slices.Contains(d.Interfaces, link) })
	if i < 0 {
		return nil, false
	}
	return &f.Definitions[i], true
}

// ByNetworkd reports whether networkd configures an interface, by a file of its own or
// of netplan, now or from the next boot on.
func (f Facts) ByNetworkd(link string) bool {
	d, defined := f.DefinitionOf(link)
	l, _ := f.Link(link)
	return (defined && d.Renderer != netplan.NetworkManager || l.NetworkFile != "") && !f.Disabled
}

// ManagerOf is what configures an interface instead of networkd; "" if unknown.
func (f Facts) ManagerOf(link string) string {
	if f.ByNetworkd(link) {
		return ""
	}
	return cmp.Or(f.Managers[link], f.Managers[""])
}

// Example is a gateway as the README sets it up on Proxmox, before the
// first run: eth0 is the LAN, eth1 the WAN, both from cloud-init by netplan.
func Example() Facts {
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
