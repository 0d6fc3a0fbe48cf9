package gateway

import (
	"fmt"
	"net/netip"
	"path"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/reconcile/sysctld"
	"mape-netplan/schema"
)

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
	g, err := gatewayOn(c, l, TunnelMTU(c, l.Softwire, l.WAN))
	if err != nil {
		return nil, err
	}
	g.Netplan, g.ByNM, g.RequestsPrefix = usesNetplan(c, f), f.ByNM, c.WANPrefix == "pd"
	if err := g.conflict(f); err != nil {
		return nil, err
	}
	if l.Softwire.Mode == softwire.DSLite {
		g.lite(f)
	}
	// Each takes four instructions of the tunnel's filter, whose jumps reach 255.
	if n := len(g.Untranslated); n > 48 {
		return nil, fmt.Errorf("the LAN has %d networks, of 48 at most that can be told apart: write fewer interfaces with mape.lan", n)
	}
	if err := g.untranslatable(f); err != nil {
		return nil, err
	}
	g.Foreign = foreign(l.WAN, f, l.Softwire.CE())
	if err := g.configureLinks(f); err != nil {
		return nil, err
	}
	if f.MaxFixed != "" && g.Conntrack.Max > 0 {
		g.Warnings = append(g.Warnings, fmt.Sprintf("conntrack.max is left out: the number of tracked connections cannot be set here (%s), as in a container; set %s on its host", f.MaxFixed, path.Base(sysctld.ConntrackMaxKey)))
		g.Conntrack.Max = 0
	}
	g.warn(c, f)
	g.Obstructed = g.Obstacles(f)
	return g, nil
}

// gatewayOn builds the part of a gateway that depends on the section and the line alone.
//
// A forward with a port outside the line's port set is off (Gateway.Off) and all else works, because the line may have got
// another prefix, and with it another set, since the forward was written. If the section fixes the line itself (prefix or
// softwire), it contradicts itself, and that is an error.
func gatewayOn(c *schema.Config, l line.Line, mtu int) (*Gateway, error) {
	if _, ok := l.Softwire.Carrier.(softwire.Translator); ok {
		// There is one IPv6 address for all of a prefix, in which IPv4 addresses would be lost.
		l.Softwire.Inner = netip.PrefixFrom(l.Softwire.Inner.Masked().Addr(), 32)
	}
	on, off := line.SplitForwards(c, l.Softwire)
	if len(off) > 0 && line.Fixes(c) {
		return nil, off
	}
	g := &Gateway{Line: l, Tunnel: tunnelOf(c, l.Softwire, mtu), NAT: c.NAT, Off: off, Warnings: l.Softwire.WarningTexts()}
	g.Forwards = on
	if !l.Softwire.NAT {
		g.Untranslated = []netip.Prefix{l.Softwire.Inner.Masked()}
	}
	if l.Softwire.Mode == softwire.DSLite {
		g.Inbound = "drop"
		g.lite(facts.Facts{})
	}
	g.Pool = g.NATConfig().Pool()
	return g, nil
}

// lite lets out what the provider of DS-Lite translates: the LAN, as far as the machine is known, and the tunnel's own
// address.
func (g *Gateway) lite(f facts.Facts) {
	all := []netip.Prefix{netip.PrefixFrom(g.Tunnel.Inner.Addr(), 32)}
	for _, name := range g.LAN {
		l, _ := f.Link(name)
		all = append(all, l.Inet4()...)
	}
	g.Untranslated = nat.Disjoint(all)
}
