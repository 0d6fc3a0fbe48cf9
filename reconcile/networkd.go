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

// linkText renders the drop-in for the .network file of a WAN or LAN.
func linkText(p Persist) string {
	text := heading
	if p.NoRA {
		text += "[Network]\nIPv6AcceptRA=no\n"
	}
	if p.CE.IsValid() {
		text += fmt.Sprintf("[Address]\nAddress=%s\nPreferredLifetime=0\n", p.CE)
	}
	return text
}
