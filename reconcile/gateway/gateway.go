// Package gateway fits a line to a machine and compiles what is wanted of it.
package gateway

import (
	"fmt"
	"net/netip"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/firewall"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/resource"
	"mape-netplan/schema"
)

// A Gateway is a line that has been fitted to a machine: nothing in it is left to be found out.
type Gateway struct {
	line.Line
	Tunnel         kernel.Tunnel
	Netplan        bool // netplan makes the tunnel last, otherwise networkd alone
	ByNM           bool // a netplan file gives something to NetworkManager
	RequestsPrefix bool // DHCPv6 is asked for a prefix on the WAN
	// NAT is the section's, with those of its forwards that work on the line; Off is why the others do not (line.SplitForwards).
	schema.NAT
	Off  schema.Problems
	Pool nat.Pool // what the NAT draws from
	// Untranslated are nat.Config's: without NAT what may leave.
	Untranslated []netip.Prefix
	// Foreign: the CE address on the WAN is another program's or a user's.
	Foreign     bool
	LinkConfigs []LinkConfig
	Warnings    []string
	// Obstructed is what rules of other programs do to the gateway's packets.
	Obstructed []firewall.Obstacle
}

func usesNetplan(c *schema.Config, f facts.Facts) bool {
	return c.Backend == "netplan" || c.Backend == "auto" && f.Netplan
}

// String is the gateway in half a line, for logs.
func (g *Gateway) String() string {
	return fmt.Sprintf("CE %s, IPv4 %s, tunnel %s", g.Softwire.CE(), g.Softwire.Inner, g.Tunnel.Link)
}

// NATConfig is what the NAT of the gateway is made of.
func (g *Gateway) NATConfig() nat.Config {
	return nat.Config{NAT: g.NAT, Tunnel: g.Tunnel, Address: g.Softwire.Inner, Ports: g.Softwire.Ports.Ranges(), Untranslated: g.Untranslated}
}

// sources are those that the tunnel's own filter lets out.
func (g *Gateway) sources() []netip.Prefix {
	if g.Untranslated != nil {
		return g.Untranslated
	}
	return []netip.Prefix{g.Softwire.Inner}
}

// Connections are the tracked connections that a gateway does not want; without a gateway all that were translated.
func Connections(g *Gateway, f facts.Facts) resource.Conntrack {
	if g == nil {
		return resource.Conntrack{Was: f.Owned.Translations}
	}
	return resource.Conntrack{Was: f.Owned.Translations, Now: g.NATConfig().Translations(g.Pool), Pool: g.Pool, Closed: g.Inbound == "drop"}
}

// CEAddress is the CE address as a resource; the zero value for one that is not the program's, and for no gateway.
func (g *Gateway) CEAddress() resource.Address {
	if g == nil || g.Foreign {
		return resource.Address{}
	}
	return resource.Address{Link: g.WAN.Name, Prefix: netip.PrefixFrom(g.Softwire.CE(), 128), Present: true}
}

// Paths are the ways that this gateway's packets take through a machine.
func (g *Gateway) Paths(f facts.Facts) firewall.Paths {
	link := func(name string) kernel.Link {
		l, _ := f.Link(name)
		l.Name = name // The tunnel may not be there yet.
		return l
	}
	p := firewall.Paths{
		Tunnel: link(g.Tunnel.Link), WAN: link(g.WAN.Name), Links: f.Links,
		CE: g.Softwire.CE(), BR: g.Softwire.BR(), Forwards: g.Forwards, Delegated: g.RequestsPrefix,
	}
	for _, name := range g.LAN {
		p.LAN = append(p.LAN, link(name))
	}
	return p
}

// Obstacles lists what other programs' rules do to packets that this gateway needs.
func (g *Gateway) Obstacles(f facts.Facts) []firewall.Obstacle {
	return firewall.Obstacles(g.Paths(f), f.Foreign)
}
