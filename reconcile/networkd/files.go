// Package networkd writes and reads our files of systemd-networkd, and reads its link states and leases.
package networkd

import (
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"

	"mape-netplan/reconcile/host"
)

const (
	NetworkDir = "/etc/systemd/network"
	// The tunnel's own files where there is no netplan. They sort before what
	// matches every interface.
	NetdevPath  = NetworkDir + "/10-mape-netplan.netdev"
	NetworkPath = NetworkDir + "/10-mape-netplan.network"
	DropInName  = "50-mape.conf"
)

// DropInPath is the path of our drop-in for one of networkd's files.
func DropInPath(file string) string {
	return path.Join(NetworkDir, path.Base(file)+".d", DropInName)
}

// LimitPath is the drop-in for the tunnel that netplan's generator writes.
func LimitPath(tunnel string) string { return DropInPath("10-netplan-" + tunnel + ".netdev") }

// Limited is the tunnel that a path of limitPath's is for; "" where it is of no
// such path.
func Limited(file string) (tunnel string) {
	name, ok := strings.CutSuffix(path.Base(path.Dir(file)), ".netdev.d")
	if tunnel, is := strings.CutPrefix(name, "10-netplan-"); ok && is {
		return tunnel
	}
	return ""
}

// LimitText keeps the Destination Options header off: netplan has no key for
// it, and border relays in Japan drop packets that carry one.
const LimitText = host.Heading + "[Tunnel]\nEncapsulationLimit=none\n"

// A Netdev is what a .netdev file says of the tunnel. Read back it has no more
// than its name, where it begins and its MTU.
type Netdev struct {
	Name          string
	Local, Remote netip.Addr
	TTL           int
	MTU           int // bytes; 0 is not known
}

func NetdevText(n Netdev) string {
	return fmt.Sprintf(host.Heading+`[NetDev]
Name=%s
Kind=ip6tnl
MTUBytes=%d

[Tunnel]
Independent=true
Mode=ipip6
Local=%s
Remote=%s
TTL=%d
EncapsulationLimit=none
`, n.Name, n.MTU, n.Local, n.Remote, n.TTL)
}

func NetworkText(tunnel string) string {
	return fmt.Sprintf(host.Heading+`[Match]
Name=%s

[Link]
RequiredForOnline=no

[Network]
LinkLocalAddressing=no
ConfigureWithoutCarrier=yes

[Route]
Destination=0.0.0.0/0
Scope=link
`, tunnel)
}

// A DropIn is what a drop-in says of a link that somebody else's
// .network file configures.
type DropIn struct {
	Ask       bool         // DHCPv6 for a prefix
	KeepsDUID bool         // by the DUID that networkd has anyway
	NoRA      bool         // refuse router advertisements
	Address   netip.Prefix // deprecated from the start; invalid for none
}

// DropInText renders a drop-in; "" is one that says nothing.
func DropInText(d DropIn) string {
	var text string
	if d.Ask {
		text += AskText
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

// ReadUnit reads one of our files for networkd back: what it says of the
// tunnel, and of the link that it is a drop-in for.
func ReadUnit(text string) (n Netdev, d DropIn) {
	options, err := unit.DeserializeOptions(strings.NewReader(text))
	if err != nil {
		return n, d
	}
	d.KeepsDUID = true
	for _, option := range options {
		switch option.Section + " " + option.Name {
		case "NetDev Name":
			n.Name = option.Value
		case "NetDev MTUBytes":
			n.MTU, _ = strconv.Atoi(option.Value)
		case "Tunnel Local":
			n.Local, _ = netip.ParseAddr(option.Value)
		case "Address Address":
			if p, err := netip.ParsePrefix(option.Value); err == nil {
				d.Address = p
			}
		case "DHCPv6 UseDelegatedPrefix":
			d.Ask = true
		case "DHCPv6 DUIDType":
			d.KeepsDUID = false
		}
	}
	return n, d
}

// AskText has networkd ask for a delegated prefix. Router advertisements still
// bring the default route, which DHCPv6 never does, and start the client,
// whatever their flags say; DHCP= is left alone, for it is about IPv4 as well.
// No address is asked for: there are home gateways that do not answer who asks
// for both, and the prefix is enough.
const AskText = `[Network]
IPv6AcceptRA=yes
[IPv6AcceptRA]
DHCPv6Client=always
[DHCPv6]
UseAddress=no
UseHostname=no
UseDelegatedPrefix=yes
`

// LinkLayerText follows askText where nothing has been delegated by another
// DUID: it is of the type that NTT's servers want, with the MAC address in it
// (RFC 8415, section 11.4).
const LinkLayerText = "DUIDType=link-layer\n"
