package reconcile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mape-netplan/schema"
)

// A Gateway is a section that has been fitted to a machine: nothing in it is
// left to be found out.
type Gateway struct {
	Line
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
	pool pool
	// Foreign says that the WAN has the CE address from somebody else.
	Foreign  bool
	Persist  []Persist
	Warnings []string
}

// A Persist is what a file has to say about an existing link, and which file.
type Persist struct {
	Link string
	CE   netip.Prefix // to be added; invalid for none
	NoRA bool         // router advertisements are to be refused
	Ask  bool         // DHCPv6 is to be asked for a prefix
	// KeepsDUID says that it is asked by the DUID that networkd has anyway.
	KeepsDUID bool
	// Definition is netplan's for the link. Where that is nil, File is
	// networkd's .network file. Where both are missing nothing persists.
	Definition *Definition
	File       string
}

// Fit fits a line to the machine that it was found on. An error of type schema.Problems is about the section.
func Fit(c *schema.Config, l Line, f Facts) (*Gateway, error) {
	if err := checkTargets(c, f); err != nil {
		return nil, err
	}
	if l.NoWAN != nil {
		return nil, l.NoWAN
	}
	if l.NoLAN != nil {
		return nil, l.NoLAN
	}
	g, err := gatewayOn(c, l, TunnelMTU(c, l.WAN))
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
func gatewayOn(c *schema.Config, l Line, mtu int) (*Gateway, error) {
	on, off := SplitForwards(c, l.Softwire)
	if len(off) > 0 && (c.Softwire != nil || c.Prefix.IsValid()) {
		return nil, off
	}
	g := &Gateway{
		Line: l, Tunnel: c.Tunnel, MTU: mtu,
		Forwards: on, Off: off, Inbound: c.Inbound, Conntrack: c.Conntrack,
		Warnings: l.Softwire.WarningTexts(),
	}
	g.pool = g.nat().pool()
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

// nat is what the NAT of the gateway is made of.
func (g *Gateway) nat() config {
	return config{
		Tunnel: g.Tunnel, Address: g.Softwire.IPv4, Ports: g.Softwire.Ports(), MTU: g.MTU,
		Forwards: g.Forwards, Inbound: g.Inbound, Conntrack: g.Conntrack,
	}
}

func usesNetplan(c *schema.Config, f Facts) bool {
	return c.Backend == "netplan" || c.Backend == "auto" && f.Netplan
}

// conflict says what of somebody else's is in the way.
func (g *Gateway) conflict(f Facts) error {
	for _, d := range f.Definitions {
		if d.Section == "tunnels" && d.ID == g.Tunnel {
			return fmt.Errorf("another netplan file defines the tunnel %s already, and netplan would merge the two; remove it there, or give ours another name with mape.tunnel", g.Tunnel)
		}
	}
	for _, l := range f.Links {
		ours := l.Name == g.Tunnel || slices.Contains(f.Owned.Tunnels, l.Name)
		if l.Default4 != nil && *l.Default4 == 0 && !ours {
			return fmt.Errorf("%s: %w", l.Name, errRival)
		}
	}
	if f.Nowhere4 != "" {
		return fmt.Errorf("%s default: %w", f.Nowhere4, errRival)
	}
	return nil
}

// foreign says whether the WAN has the CE address from somebody else: another
// file defines it, or the kernel has it and no file of ours does.
func foreign(wan Link, f Facts, ce netip.Addr) bool {
	is := func(p netip.Prefix) bool { return p.Addr() == ce }
	if d, ok := f.definitionOf(wan.Name); ok && slices.ContainsFunc(d.Addresses, is) {
		return true
	}
	// One that looks as we make it is ours, though a file of ours that said so
	// be gone.
	return f.Live && !f.Owned.has(wan.Name, ce) &&
		slices.ContainsFunc(wan.Addresses, func(a Inet) bool { return is(a.Prefix) && !(a.Deprecated && a.Prefix.IsSingleIP()) })
}

// persist finds the file for each link that needs one.
func (g *Gateway) persist(f Facts) error {
	var all []Persist
	if wan := (Persist{Link: g.WAN.Name, Ask: g.Ask}); !g.Foreign || g.Ask {
		if !g.Foreign {
			wan.CE = netip.PrefixFrom(g.Softwire.CE, 128)
		}
		all = append(all, wan)
	}
	for _, name := range g.LAN {
		all = append(all, Persist{Link: name, NoRA: true})
	}
	for _, p := range all {
		if err := p.find(g.Netplan, f); err != nil {
			return err
		}
		p.identify(f)
		if p.Definition == nil && p.File == "" {
			g.Warnings = append(g.Warnings, fmt.Sprintf("neither netplan nor networkd configures %s, so no file can say that it %s", p.Link, p.what()))
			continue
		}
		g.Persist = append(g.Persist, p)
	}
	return nil
}

// what says what the link shall do.
func (p Persist) what() string {
	var all []string
	if p.NoRA {
		all = append(all, "refuses router advertisements")
	}
	if p.Ask {
		all = append(all, "asks for a prefix")
	}
	if p.CE.IsValid() {
		all = append(all, fmt.Sprintf("has the address %s", p.CE))
	}
	return strings.Join(all, " and ")
}

// find finds the file. netplan says that the machine has it and it is used.
func (p *Persist) find(netplan bool, f Facts) error {
	d, defined := f.definitionOf(p.Link)
	l, _ := f.Link(p.Link)
	switch {
	case netplan && defined:
		if len(d.Interfaces) > 1 {
			return fmt.Errorf("netplan's definition %s configures %s together, and what %s needs must not reach the others; give %s a definition of its own",
				d.ID, strings.Join(d.Interfaces, ", "), p.Link, p.Link)
		}
		p.Definition = &d
	case l.NetworkFile != "":
		p.File = l.NetworkFile
		for _, other := range f.Links {
			if other.NetworkFile == l.NetworkFile && other.Name != l.Name {
				return fmt.Errorf("%s configures %s and %s together, and what one needs must not reach the other; give %s a .network file of its own",
					l.NetworkFile, l.Name, other.Name, l.Name)
			}
		}
	case netplan && !f.Live:
		p.Definition = &Definition{Section: "ethernets", ID: p.Link, Interfaces: []string{p.Link}}
	}
	return nil
}

// warn says what is legal and probably not meant.
func (g *Gateway) warn(c *schema.Config, f Facts) {
	wan := g.WAN
	if most := wan.MTU - TunnelHeader; wan.MTU > 0 && g.MTU > most {
		g.Warnings = append(g.Warnings, fmt.Sprintf("mtu %d is more than fits through %s: packets over %d bytes will be fragmented", g.MTU, wan.Name, most))
	}
	for _, l := range f.Links {
		if l.Default4 != nil && *l.Default4 > 0 && l.Name != g.Tunnel {
			g.Warnings = append(g.Warnings, fmt.Sprintf("%s has an IPv4 default route too, of metric %d: the tunnel's, of metric 0, goes before it", l.Name, *l.Default4))
		}
	}
	known := len(f.Delegations) > 0 || slices.ContainsFunc(wan.Addresses, Inet.ofLine)
	if c.Prefix.IsValid() && known && !onLine(wan, g.Softwire.CE) && !f.delegatedFrom(g.Softwire.CE) {
		g.Warnings = append(g.Warnings, fmt.Sprintf("no address of %s is in %s, the line that mape.prefix says", wan.Name, homeOf(g.Softwire.CE)))
	}
	if g.pool.first == 0 {
		g.Warnings = append(g.Warnings, "the port set has no port above 1023 that is not forwarded, and the NAT draws from none below: nothing will get out")
	}
	if f.Unfiltered != "" {
		g.Warnings = append(g.Warnings, fmt.Sprintf("%s cannot have a filter of its own (%s): whenever something flushes the ruleset of nftables, packets leave untranslated until the table is back", g.Tunnel, f.Unfiltered))
	}
	g.unreachable(f)
}
