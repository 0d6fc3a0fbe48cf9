package reconcile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mape-netplan/schema"
)

// tunnelHeader is the outer IPv6 header, in bytes.
const tunnelHeader = 40

// A Gateway is a section that has been fitted to a machine: nothing in it is
// left to be found out.
type Gateway struct {
	Line
	WAN     string
	LAN     []string
	Tunnel  string
	MTU     int // of the tunnel, bytes
	Netplan bool
	Ask     bool // DHCPv6 for a prefix, on the WAN
	// Forwards, Inbound and Conntrack are the section's, every forwarded port
	// in the set.
	Forwards  []schema.Forward
	Inbound   string
	Conntrack schema.Conntrack
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

// Resolve fits a section to a machine. An error of type schema.Problems is
// about the section; one that is ErrNotYet may pass.
func Resolve(c *schema.Config, f Facts) (*Gateway, error) {
	if err := checkRenderer(c, f); err != nil {
		return nil, err
	}
	line, err := Derive(c, f)
	if err != nil {
		return nil, err
	}
	if err := checkForwards(c, line.Softwire); err != nil {
		return nil, err
	}
	if err := checkTargets(c, f); err != nil {
		return nil, err
	}
	wan, err := wan(c, f)
	if err != nil {
		return nil, err
	}
	lan, err := lan(c, f, wan.Name)
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		Line: line, WAN: wan.Name, LAN: lan, Tunnel: c.Tunnel, MTU: TunnelMTU(c, wan),
		Forwards: c.Forwards, Inbound: c.Inbound, Conntrack: c.Conntrack,
		Netplan: usesNetplan(c, f), Ask: c.WANPrefix == "pd",
		Warnings: slices.Clone(line.Softwire.Warnings),
	}
	if err := g.conflict(f); err != nil {
		return nil, err
	}
	g.Foreign = foreign(wan, f, line.Softwire.CE)
	if err := g.persist(f); err != nil {
		return nil, err
	}
	g.warn(c, wan, f)
	g.Warnings = append(g.Warnings, g.foreignWarnings(f)...)
	return g, nil
}

func usesNetplan(c *schema.Config, f Facts) bool {
	return c.Backend == "netplan" || c.Backend == "auto" && f.Netplan
}

// WAN returns the interface towards the provider.
func wan(c *schema.Config, f Facts) (Link, error) {
	if c.WAN != "" {
		return named(c, f, "wan", c.WAN)
	}
	var best []Link
	for _, l := range f.Links {
		if l.Default6 == nil || l.Name == c.Tunnel || l.Loopback {
			continue
		}
		if len(best) > 0 && *l.Default6 < *best[0].Default6 {
			best = nil
		}
		if len(best) == 0 || *l.Default6 == *best[0].Default6 {
			best = append(best, l)
		}
	}
	if len(best) > 1 {
		return Link{}, fmt.Errorf("%s and %s both have an IPv6 default route of metric %d; say which is the WAN with mape.wan", best[0].Name, best[1].Name, *best[0].Default6)
	}
	if len(best) == 1 {
		return best[0], nil
	}
	return Link{}, notYet{noWAN(c, f)}
}

// named finds an interface that the section names. Without a kernel a name
// that no netplan file defines may still be right.
func named(c *schema.Config, f Facts, path, name string) (Link, error) {
	l, ok := f.Link(name)
	if !ok && f.Live {
		return l, problem(c, path, fmt.Errorf("there is no interface %s; there are: %s", name, f.names()))
	}
	if !ok {
		l.Name = name
	}
	if l.MTU == 0 {
		l.MTU = 1500 // Ethernet's; the kernel is not there to ask.
	}
	return l, nil
}

// lan returns the interfaces towards the home: those that the section names,
// or every one with a private IPv4 address that netplan or networkd
// configures. A container engine's bridge is nobody's LAN.
func lan(c *schema.Config, f Facts, wan string) ([]string, error) {
	if c.LAN != nil {
		for i, name := range c.LAN {
			path := fmt.Sprintf("lan[%d]", i)
			if _, err := named(c, f, path, name); err != nil {
				return nil, err
			}
		}
		return c.LAN, nil
	}
	var names []string
	for _, l := range f.Links {
		_, defined := f.definitionOf(l.Name)
		if l.Name == wan || l.Name == c.Tunnel || l.Loopback || !defined && l.NetworkFile == "" {
			continue
		}
		if slices.ContainsFunc(l.Addresses, func(a Inet) bool { return a.Prefix.Addr().Is4() && a.Prefix.Addr().IsPrivate() }) {
			names = append(names, l.Name)
		}
	}
	return names, nil
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
	if wan := (Persist{Link: g.WAN, Ask: g.Ask}); !g.Foreign || g.Ask {
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
func (g *Gateway) warn(c *schema.Config, wan Link, f Facts) {
	if most := wan.MTU - tunnelHeader; wan.MTU > 0 && g.MTU > most {
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
	if g.pool().first == 0 {
		g.Warnings = append(g.Warnings, "the port set has no port above 1023 that is not forwarded, and the NAT draws from none below: nothing will get out")
	}
	if f.Unfiltered != "" {
		g.Warnings = append(g.Warnings, fmt.Sprintf("%s cannot have a filter of its own (%s): whenever something flushes the ruleset of nftables, packets leave untranslated until the table is back", g.Tunnel, f.Unfiltered))
	}
	g.unreachable(f)
}

// LikelyWAN is the WAN where it can be known; otherwise, as on a machine that is
// not on the section's line, a link of which nothing is known.
func LikelyWAN(c *schema.Config, f Facts) Link {
	if Elsewhere(c, f) {
		return Link{}
	}
	if c.WAN != "" {
		l, _ := f.Link(c.WAN)
		return l
	}
	l, _ := wan(c, f)
	return l
}
