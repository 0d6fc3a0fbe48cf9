// Package gateway fits a line to a machine and compiles what is wanted of it.
package gateway

import (
	"fmt"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/nat"
	"mape-netplan/schema"
)

// A Gateway is a section that has been fitted to a machine: nothing in it is
// left to be found out.
type Gateway struct {
	line.Line
	Tunnel  string
	MTU     int // of the tunnel, bytes
	Netplan bool
	Ask     bool // DHCPv6 for a prefix, on the WAN
	// Forwards are those of the section whose ports are all in the set; Off is why the others are switched off.
	Forwards  []schema.Forward
	Off       schema.Problems
	Inbound   string
	Conntrack schema.Conntrack
	// pool is what the NAT draws from.
	Pool nat.Pool
	// Foreign says that the WAN has the CE address from somebody else.
	Foreign  bool
	Persist  []Persist
	Warnings []string
}

// Fit fits a line to the machine that it was found on. An error of type schema.Problems is about the section.
func Fit(c *schema.Config, l line.Line, f facts.Facts) (*Gateway, error) {
	if err := checkTargets(c, f); err != nil {
		return nil, err
	}
	if l.NoWAN != nil {
		return nil, l.NoWAN
	}
	if l.NoLAN != nil {
		return nil, l.NoLAN
	}
	g, err := gatewayOn(c, l, line.TunnelMTU(c, l.WAN))
	if err != nil {
		return nil, err
	}
	g.Netplan, g.Ask = usesNetplan(c, f), c.WANPrefix == "pd"
	if err := g.conflict(f); err != nil {
		return nil, err
	}
	g.Foreign = foreign(l.WAN, f, l.Softwire.CE)
	if err := g.persist(f); err != nil {
		return nil, err
	}
	g.warn(c, f)
	for _, o := range g.Obstacles(f) {
		g.Warnings = append(g.Warnings, o.String())
	}
	return g, nil
}

// gatewayOn is the gateway of a line as far as the machine does not matter. A forward whose port the line does not have
// is off and all else works: the line may have got another set since the forward was written. Where the section itself
// says which line it is, it contradicts itself, and that is an error.
func gatewayOn(c *schema.Config, l line.Line, mtu int) (*Gateway, error) {
	on, off := line.SplitForwards(c, l.Softwire)
	if len(off) > 0 && (c.Softwire != nil || c.Prefix.IsValid()) {
		return nil, off
	}
	g := &Gateway{
		Line: l, Tunnel: c.Tunnel, MTU: mtu,
		Forwards: on, Off: off, Inbound: c.Inbound, Conntrack: c.Conntrack,
		Warnings: l.Softwire.WarningTexts(),
	}
	g.Pool = g.Nat().Pool()
	g.Warnings = append(g.Warnings, OffTexts(off)...)
	return g, nil
}

// OffTexts are what is said of forwards that are off, one line each.
func OffTexts(off schema.Problems) (all []string) {
	for _, p := range off {
		all = append(all, fmt.Sprintf("%s: %s; this forward is off until the section is changed", p.Path, p.Message))
	}
	return all
}

// Nat is what the NAT of the gateway is made of.
func (g *Gateway) Nat() nat.Config {
	return nat.Config{
		Tunnel: g.Tunnel, Address: g.Softwire.IPv4, Ports: g.Softwire.Ports(), MTU: g.MTU,
		Forwards: g.Forwards, Inbound: g.Inbound, Conntrack: g.Conntrack,
	}
}

func usesNetplan(c *schema.Config, f facts.Facts) bool {
	return c.Backend == "netplan" || c.Backend == "auto" && f.Netplan
}
