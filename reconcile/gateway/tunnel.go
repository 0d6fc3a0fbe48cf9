package gateway

import (
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/schema"
)

// hopLimit is the outer hop limit that networkd gives an ip6tnl by default.
const hopLimit = 64

// TunnelHeader is the outer IPv6 header, in bytes.
const TunnelHeader = 40

// TunnelMTU is the MTU of the tunnel in bytes: the section's, or what the WAN leaves; 0 if neither is known.
func TunnelMTU(c *schema.Config, wan kernel.Link) int {
	if c.MTU > 0 {
		return c.MTU
	}
	return max(0, wan.MTU-TunnelHeader)
}

// rememberedMTU is the section's or that of the last line; without either that of a tunnel over Ethernet.
func rememberedMTU(c *schema.Config, o facts.Owned) int {
	if c.MTU == 0 && o.Memory != nil && o.Memory.MTU > 0 {
		return o.Memory.MTU
	}
	return TunnelMTU(c, kernel.Link{MTU: line.EthernetMTU})
}

// NetplanText is our netplan file: the tunnel, and what the definitions of the WAN and the LAN need besides their own
// files.
func (g *Gateway) NetplanText() string {
	var additions []netplan.Addition
	for _, p := range g.LinkConfigs {
		if d := p.Definition; d != nil {
			additions = append(additions, netplan.Addition{Section: d.Section, ID: d.ID, Address: p.CE, NoRA: p.NoRA})
		}
	}
	return netplan.Render(netplan.Tunnel{ID: g.Tunnel, Local: g.Softwire.CE, Remote: g.Softwire.BR, TTL: hopLimit, MTU: g.MTU}, additions)
}

// netdevText is the tunnel's file on a machine without netplan.
func (g *Gateway) netdevText() string {
	return networkd.RenderNetdev(networkd.Tunnel{Name: g.Tunnel, Local: g.Softwire.CE, Remote: g.Softwire.BR, TTL: hopLimit, MTU: g.MTU})
}
