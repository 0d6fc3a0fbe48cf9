package reconcile

import "mape-netplan/schema"

// TunnelHeader is the outer IPv6 header, in bytes.
const TunnelHeader = 40

// ethernetMTU is that of a WAN that cannot be asked for its own, in bytes.
const ethernetMTU = 1500

// TunnelMTU is the MTU of the tunnel in bytes; 0 when neither the section nor
// the WAN tells.
func TunnelMTU(c *schema.Config, wan Link) int {
	if c.MTU > 0 {
		return c.MTU
	}
	return max(0, wan.MTU-TunnelHeader)
}

// rememberedMTU is the section's or the last one; without either that of a
// tunnel over Ethernet.
func rememberedMTU(c *schema.Config, o Owned) int {
	if c.MTU == 0 && o.Memory != nil && o.Memory.MTU > 0 {
		return o.Memory.MTU
	}
	return TunnelMTU(c, Link{MTU: ethernetMTU})
}
