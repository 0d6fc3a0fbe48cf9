package gateway

import (
	"cmp"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// TunnelMTU is the MTU of the tunnel in bytes: the section's, or what the WAN leaves; 0 if neither is known.
func TunnelMTU(c *schema.Config, s softwire.Softwire, wan kernel.Link) int {
	return cmp.Or(c.MTU, InnerMTU(s, wan.MTU))
}

// InnerMTU is how many bytes an IPv4 packet may have for an IPv6 packet of so many.
func InnerMTU(s softwire.Softwire, outer int) int { return max(0, outer-s.Overhead()) }

// rememberedMTU is the section's or that of the last line; without either that of a tunnel over Ethernet.
func rememberedMTU(c *schema.Config, s softwire.Softwire, o facts.Owned) int {
	if c.MTU == 0 && o.Memory != nil && o.Memory.MTU > 0 {
		return o.Memory.MTU
	}
	return TunnelMTU(c, s, kernel.Link{MTU: line.EthernetMTU})
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
	return netplan.Render(g.Tunnel, g.ByNM, additions)
}
