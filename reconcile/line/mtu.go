package line

import (
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/schema"
)

// TunnelHeader is the outer IPv6 header, in bytes.
const TunnelHeader = 40

// ethernetMTU is that of a WAN that cannot be asked for its own, in bytes.
const ethernetMTU = 1500

// TunnelMTU is the MTU of the tunnel in bytes; 0 when neither the section nor
// the WAN tells.
func TunnelMTU(c *schema.Config, wan kernel.Link) int {
	if c.MTU > 0 {
		return c.MTU
	}
	return max(0, wan.MTU-TunnelHeader)
}

// RememberedMTU is the section's or the last one; without either that of a
// tunnel over Ethernet.
func RememberedMTU(c *schema.Config, o facts.Owned) int {
	if c.MTU == 0 && o.Memory != nil && o.Memory.MTU > 0 {
		return o.Memory.MTU
	}
	return TunnelMTU(c, kernel.Link{MTU: ethernetMTU})
}
