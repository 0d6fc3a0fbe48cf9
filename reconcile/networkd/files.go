// Package networkd renders our files for systemd-networkd and reads them back,
// and reads its link states, its .network files and its DHCPv6 delegations.
package networkd

import (
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
)

const (
	NetworkDir = "/etc/systemd/network"
	// The files of the tunnel, used without netplan. They sort before those that
	// match every interface.
	NetdevPath  = NetworkDir + "/10-mape-netplan.netdev"
	NetworkPath = NetworkDir + "/10-mape-netplan.network"
	DropInName  = "50-mape.conf"
)

// DropInPath is the path of our drop-in for one of networkd's files.
func DropInPath(file string) string {
	return path.Join(NetworkDir, path.Base(file)+".d", DropInName)
}

// EncapLimitPath is the path of the drop-in that [RenderEncapLimit] renders, for the tunnel
// that netplan's generator writes.
func EncapLimitPath(tunnel string) string { return DropInPath("10-netplan-" + tunnel + ".netdev") }

// EncapLimitTunnel is the tunnel of a path of [EncapLimitPath]; "" for another path.
func EncapLimitTunnel(file string) string { return definition(file, ".netdev.d") }

// DefinitionID is the ID of netplan's definition whose .network file a drop-in is for;
// "" for another path.
func DefinitionID(file string) string { return definition(file, ".network.d") }

func definition(file, suffix string) string {
	name, ok := strings.CutSuffix(path.Base(path.Dir(file)), suffix)
	if id, is := strings.CutPrefix(name, "10-netplan-"); ok && is {
		return id
	}
	return ""
}

// RenderEncapLimit renders the drop-in with the encapsulation limit (RFC 2473, section
// 4.1.1), for which netplan has no key: networkd's own puts a Destination Options
// header on each packet, and border relays in Japan drop packets that have one.
func RenderEncapLimit(t kernel.Tunnel) string { return host.Heading + "[Tunnel]\n" + limitLine(t) }

func limitLine(t kernel.Tunnel) string { return "EncapsulationLimit=" + t.EncapLimitText() + "\n" }

// NetdevLines are the lines of a .netdev file that have the tunnel's settings. netplan's generator writes
// the same of our netplan file.
func NetdevLines(t kernel.Tunnel) (netdev, tunnel string) {
	return fmt.Sprintf("MTUBytes=%d\n", t.MTU), fmt.Sprintf("Local=%s\nRemote=%s\nTTL=%d\n", t.Local, t.Remote, t.HopLimit)
}

// RenderNetdev renders the file at [NetdevPath].
func RenderNetdev(t kernel.Tunnel) string {
	netdev, tunnel := NetdevLines(t)
	return host.Heading + "[NetDev]\nName=" + t.Link + "\nKind=ip6tnl\n" + netdev +
		"\n[Tunnel]\nIndependent=true\nMode=ipip6\n" + tunnel + limitLine(t)
}

// AddressLine is the line of a .network file that has the tunnel's inner address; "" for none.
func AddressLine(t kernel.Tunnel) string {
	if !t.Inner.IsValid() {
		return ""
	}
	return fmt.Sprintf("Address=%s\n", t.Inner)
}

// RenderNetwork renders the file at [NetworkPath].
func RenderNetwork(t kernel.Tunnel) string {
	return fmt.Sprintf(host.Heading+`[Match]
Name=%s

[Link]
RequiredForOnline=no

[Network]
LinkLocalAddressing=no
ConfigureWithoutCarrier=yes
%s
[Route]
Destination=0.0.0.0/0
Scope=link
`, t.Link, AddressLine(t))
}

// A DropIn is what our drop-in adds to a .network file of others.
type DropIn struct {
	Request   bool         // request a delegated prefix (DHCPv6-PD)
	KeepsDUID bool         // under the DUID that networkd uses without us
	NoRA      bool         // ignore router advertisements
	Address   netip.Prefix // deprecated from the start; invalid: none
}

// RenderDropIn renders a drop-in; "" if it adds nothing.
func RenderDropIn(d DropIn) string {
	var text string
	if d.Request {
		text += RequestText
		if !d.KeepsDUID {
			text += LinkLayerText
		}
	}
	if d.NoRA {
		text += "[Network]\nIPv6AcceptRA=no\n"
	}
	if d.Address.IsValid() {
		text += fmt.Sprintf("[Address]\nAddress=%s\nPreferredLifetime=0\n", d.Address)
	}
	if text == "" {
		return ""
	}
	return host.Heading + text
}

// ReadBack reads one of our files: of a .netdev file the name, the local address
// and the MTU of the tunnel, of a drop-in all but NoRA.
func ReadBack(text string) (t kernel.Tunnel, d DropIn) {
	options, err := unit.DeserializeOptions(strings.NewReader(text))
	if err != nil {
		return t, d
	}
	d.KeepsDUID = true
	for _, option := range options {
		switch option.Section + " " + option.Name {
		case "NetDev Name":
			t.Link = option.Value
		case "NetDev MTUBytes":
			t.MTU, _ = strconv.Atoi(option.Value)
		case "Network Address":
			t.Inner, _ = netip.ParsePrefix(option.Value)
		case "Match Name": // of the tunnel's .network file
			t.Link = option.Value
		case "Tunnel Local":
			t.Local, _ = netip.ParseAddr(option.Value)
		case "Address Address":
			if p, err := netip.ParsePrefix(option.Value); err == nil {
				d.Address = p
			}
		case "DHCPv6 UseDelegatedPrefix":
			d.Request = true
		case "DHCPv6 DUIDType":
			d.KeepsDUID = false
		}
	}
	return t, d
}

// RequestText makes networkd request a delegated prefix. Router advertisements
// still bring the default route, which DHCPv6 cannot, and start the client
// whatever their flags are. DHCP= stays as it is, because it is about IPv4, too.
// No address is requested: some home gateways do not answer a request for both.
const RequestText = `[Network]
IPv6AcceptRA=yes
[IPv6AcceptRA]
DHCPv6Client=always
[DHCPv6]
UseAddress=no
UseHostname=no
UseDelegatedPrefix=yes
`

// LinkLayerText follows [RequestText] unless a prefix has been delegated under
// another DUID. NTT's servers demand this type, which has the MAC address in it
// (RFC 8415, section 11.4).
const LinkLayerText = "DUIDType=link-layer\n"
