package reconcile

import (
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"
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

// limited is the tunnel that a path of limitPath's is for; "" where it is of no
// such path.
func limited(file string) (tunnel string) {
	name, ok := strings.CutSuffix(path.Base(path.Dir(file)), ".netdev.d")
	if tunnel, is := strings.CutPrefix(name, "10-netplan-"); ok && is {
		return tunnel
	}
	return ""
}

// limitText keeps the Destination Options header off: netplan has no key for
// it, and border relays in Japan drop packets that carry one.
const limitText = heading + "[Tunnel]\nEncapsulationLimit=none\n"

// A netdev is what a .netdev file says of the tunnel. Read back it has no more
// than its name, where it begins and its MTU.
type netdev struct {
	Name          string
	Local, Remote netip.Addr
	TTL           int
	MTU           int // bytes; 0 is not known
}

func netdevText(n netdev) string {
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
`, n.Name, n.MTU, n.Local, n.Remote, n.TTL)
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
	file, link := p.File, networkDropIn{Ask: p.Ask, KeepsDUID: p.KeepsDUID}
	if p.Definition != nil {
		file = p.Definition.network()
	} else {
		link.NoRA, link.Address = p.NoRA, p.CE
	}
	if text = dropInText(link); text == "" || file == "" {
		return "", ""
	}
	return dropInPath(file), text
}

// A networkDropIn is what a drop-in says of a link that somebody else's
// .network file configures.
type networkDropIn struct {
	Ask       bool         // DHCPv6 for a prefix
	KeepsDUID bool         // by the DUID that networkd has anyway
	NoRA      bool         // refuse router advertisements
	Address   netip.Prefix // deprecated from the start; invalid for none
}

// dropInText renders a drop-in; "" is one that says nothing.
func dropInText(d networkDropIn) string {
	var text string
	if d.Ask {
		text += askText
		if !d.KeepsDUID {
			text += linkLayerText
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
	return heading + text
}

// readUnit reads one of our files for networkd back: what it says of the
// tunnel, and of the link that it is a drop-in for.
func readUnit(text string) (n netdev, d networkDropIn) {
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
