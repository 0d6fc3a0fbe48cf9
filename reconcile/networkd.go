package reconcile

import (
	"fmt"
	"net/netip"
	"path"
)

const (
	networkDir = "/etc/systemd/network"
	// The tunnel's own files where there is no netplan. They sort before what
	// matches every interface.
	netdevPath  = networkDir + "/10-mape-netplan.netdev"
	networkPath = networkDir + "/10-mape-netplan.network"
	dropIn      = "50-mape.conf"
)

// dropInPath is the path of our drop-in for one of networkd's files.
func dropInPath(file string) string {
	return path.Join(networkDir, path.Base(file)+".d", dropIn)
}

// limitPath is the drop-in for the tunnel that netplan's generator writes.
func limitPath(tunnel string) string { return dropInPath("10-netplan-" + tunnel + ".netdev") }

// limitText keeps the Destination Options header off: netplan has no key for
// it, and border relays in Japan drop packets that carry one.
const limitText = heading + "[Tunnel]\nEncapsulationLimit=none\n"

func netdevText(tunnel string, ce, br netip.Addr, mtu int) string {
	return fmt.Sprintf(heading+`[NetDev]
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
`, tunnel, mtu, ce, br, hopLimit)
}

func networkText(tunnel string) string {
	return fmt.Sprintf(heading+`[Match]
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

// dropIn is what a drop-in has to say of the link, and for which file; no text
// is none. What netplan has keys for is in its file.
func (p Persist) dropIn() (path, text string) {
	file := p.File
	if p.Definition != nil {
		file = p.Definition.network()
	}
	if p.Ask {
		text += askText
		if !p.KeepsDUID {
			text += linkLayerText
		}
	}
	if p.NoRA && p.Definition == nil {
		text += "[Network]\nIPv6AcceptRA=no\n"
	}
	if p.CE.IsValid() && p.Definition == nil {
		text += fmt.Sprintf("[Address]\nAddress=%s\nPreferredLifetime=0\n", p.CE)
	}
	if text == "" || file == "" {
		return "", ""
	}
	return dropInPath(file), heading + text
}

// managed is the link as networkd has it by the drop-in.
func (p Persist) managed(path, text string) Managed {
	return Managed{Link: p.Link, File: path, Data: text, Present: true, Asks: p.Ask, LinkLayer: p.Ask && !p.KeepsDUID}
}

// askText has networkd ask for a delegated prefix. Router advertisements still
// bring the default route, which DHCPv6 never does, and start the client,
// whatever their flags say; DHCP= is left alone, for it is about IPv4 as well.
// No address is asked for: there are home gateways that do not answer who asks
// for both, and the prefix is enough.
const askText = `[Network]
IPv6AcceptRA=yes
[IPv6AcceptRA]
DHCPv6Client=always
[DHCPv6]
UseAddress=no
UseHostname=no
UseDelegatedPrefix=yes
`

// linkLayerText follows askText where nothing has been delegated by another
// DUID: it is of the type that NTT's servers want, with the MAC address in it
// (RFC 8415, section 11.4).
const linkLayerText = "DUIDType=link-layer\n"
